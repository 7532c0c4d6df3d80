#pragma once

#include "kernels/units.h"

/** The innermost part of matrix products: a tile of the result in registers, summed over packed operands. */
namespace stemma::STEMMA_ISA {

/** Rows and columns of a tile: as many sums as leave registers for two vectors of b and some numbers of a. */
constexpr int64_t kTileVectors = 2;
constexpr int64_t kTileColumns = kTileVectors * kLanes;
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int64_t kTileRows = 12;
#else
constexpr int64_t kTileRows = 6;
#endif

/** The left operand of a tile: unit u of row r lies at `data + r · rowStride + u · unitStride`. */
struct TileRows {
  const float* data;
  int64_t rowStride;
  int64_t unitStride;
};

/**
 * c[rows, columns] = or += a[rows, units] · b[units, kTileColumns], for 1 ≤ rows ≤ kTileRows and columns up to
 * kTileColumns. `b` is a packed panel; c has `cStride` elements from row to row. Each element is the sum over units in
 * order, whatever the size of the tile.
 */
void tileProduct(Format format, TileRows a, const float* b, int64_t units, float* c, int64_t cStride, int64_t rows,
                 int64_t columns, bool add);

}  // namespace stemma::STEMMA_ISA
