#pragma once

#include "kernels/integer-panels.h"

/**
 * Products with panels by a processor's matrix unit (AMX): 16 rows of 32 bytes times 16 columns of 32 bytes is one
 * instruction. Integers are exact, and blocks are summed as `panelProduct` does, to the same bits.
 */
namespace stemma::STEMMA_ISA {

#if defined(STEMMA_SQUARES)
constexpr bool kHasByteSquares = true;
#else
constexpr bool kHasByteSquares = false;
#endif

/** Rows that are multiplied at once. */
constexpr int kByteSquareRows = 16;

/** Whether a format's blocks are multiplied so: to scale runs of longer ones takes longer than to multiply them. */
constexpr bool multipliesSquares(WeightFormat format) { return kHasByteSquares && blockLength(format) == kBlock; }

/** While one lives, its thread may call `squaresProduct`. */
class ByteSquareUnit {
 public:
  ByteSquareUnit();
  ~ByteSquareUnit();
  ByteSquareUnit(const ByteSquareUnit&) = delete;
  ByteSquareUnit& operator=(const ByteSquareUnit&) = delete;
};

/** sums[row, kPanelColumns] = products of kByteSquareRows rows with a panel whose integers have a sign. */
void squaresProduct(WeightFormat format, const PanelRows& rows, const Panel& panel, float* sums);

}  // namespace stemma::STEMMA_ISA
