#pragma once

#include "kernels/matmul.h"

namespace stemma::STEMMA_ISA {

/** Whether a product is one of integers: the rows in which blocks of weights are stored have to be those of the product. */
inline bool isInteger(const Matmul& p) {
  return p.roundsRows && p.transposeB && p.k > 0 && blockLength(p.weights) > 1;
}

/**
 * One such product (`batch` is not looked at), as ggml computes it: rows are rounded to bytes block by block, products of
 * integers are summed exactly, and scales multiply the sums of blocks, which are added in order. An element of the result
 * depends on its row and its column alone: a row gives the same bits by itself as among any others.
 */
void integerProduct(const Matmul& product, int threads);

}  // namespace stemma::STEMMA_ISA
