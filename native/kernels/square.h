#pragma once

#include "kernels/units.h"

/**
 * Products of bfloat16 by a processor's matrix unit (AMX): a square of 16 × 16 sums, plus 16 rows of 16 pairs times 16
 * columns of 16 pairs, is one instruction.
 */
namespace stemma::STEMMA_ISA {

/** Rows that the left operand of a block of squares has; its columns are those of a panel, kTileColumns. */
constexpr int64_t kSquareRows = 2 * kSquare;

/** While one lives, its thread may multiply squares. */
class SquareUnit {
 public:
  SquareUnit();
  ~SquareUnit();
  SquareUnit(const SquareUnit&) = delete;
  SquareUnit& operator=(const SquareUnit&) = delete;
};

/**
 * c[rows, columns] = or += a[rows, units] · b[units, kTileColumns], for 1 ≤ rows ≤ kSquareRows and columns up to
 * kTileColumns. `a` is packed by packSquareRows or packSquareColumns, `b` a packed panel; c has `cStride` elements from row
 * to row. For every 16 units in turn, each element takes the sum of their first numbers' products plus that of their second
 * numbers', both in order, numbers below 2⁻¹²⁶ counting as zero; that is the same whatever the size of the block.
 */
void squareProduct(const float* a, const float* b, int64_t units, float* c, int64_t cStride, int64_t rows,
                   int64_t columns, bool add);

/** Squares that squaresPeak multiplies in a round. */
constexpr int64_t kPeakSquares = 4;

/** Multiplies what registers hold, as fast as the processor can. */
void squaresPeak(int64_t rounds);

/** x[rows, k] with k contiguous → packed[squares of rows, squares of units, kSquare, kSquare]. */
void packSquareRows(const float* x, int64_t rowStride, int64_t rows, int64_t k, float* packed);

/** x[k, width] with width contiguous → its transpose, packed in the same way. */
void packSquareColumns(const float* x, int64_t rowStride, int64_t k, int64_t width, float* packed);

/** As packTransposed, of numbers that are bfloat16 already: x[width, k] → packed[panels, units, kTileColumns]. */
void packTransposedPairs(const uint16_t* x, int64_t rowStride, int64_t width, int64_t k, float* packed);

/** As packColumns, of numbers that are bfloat16 already: x[k, width] → packed[panels, units, kTileColumns]. */
void packColumnPairs(const uint16_t* x, int64_t rowStride, int64_t k, int64_t width, float* packed);

}  // namespace stemma::STEMMA_ISA
