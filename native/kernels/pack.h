#pragma once

#include "kernels/tile.h"

/**
 * Copies operands of matrix products into the layouts that tiles read, converting them on the way. `units` always
 * follows from `k` and the format; units beyond k and columns beyond `width` are filled with zeros.
 */
namespace stemma::STEMMA_ISA {

/** x[rows, k] with k contiguous → packed[rows, units], rows `packedStride` units apart. */
void packRows(Format format, const float* x, int64_t rowStride, int64_t rows, int64_t k, float* packed,
              int64_t packedStride);

/** x[k, width] with width contiguous → packed[units, packedWidth]; width ≤ packedWidth. */
void packColumns(Format format, const float* x, int64_t rowStride, int64_t k, int64_t width, float* packed,
                 int64_t packedWidth);

/** x[width, k] with k contiguous → packed[units, kTileColumns]; width ≤ kTileColumns. */
void packTransposed(Format format, const float* x, int64_t rowStride, int64_t width, int64_t k, float* packed);

}  // namespace stemma::STEMMA_ISA
