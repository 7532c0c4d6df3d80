#pragma once

#include "kernels/tile.h"

/**
 * Copies operands of matrix products into the layouts that tiles read, converting them on the way. `units` always
 * follows from `k` and the format; units beyond k and columns beyond `width` are filled with zeros.
 */
namespace stemma::STEMMA_ISA {

/** x[rows, k] with k contiguous → packed[rows, units]; packed may begin where x does, or before. */
void packRows(Format format, const float* x, int64_t rowStride, int64_t rows, int64_t k, float* packed);

/** x[k, width] with width contiguous → packed[panels, units, kTileRows]: the transpose of a left operand. */
void packColumnsForRows(Format format, const float* x, int64_t rowStride, int64_t k, int64_t width, float* packed);

/** x[k, width] with width contiguous → its units in the first rows of the same memory, [units, width]. */
void packAcross(Format format, float* x, int64_t rowStride, int64_t k, int64_t width);

/** x[k, width] with width contiguous → packed[panels, units, kTileColumns]. */
void packColumns(Format format, const float* x, int64_t rowStride, int64_t k, int64_t width, float* packed);

/** x[width, k] with k contiguous → packed[panels, units, kTileColumns]. */
void packTransposed(Format format, const float* x, int64_t rowStride, int64_t width, int64_t k, float* packed);

}  // namespace stemma::STEMMA_ISA
