#pragma once

#include "kernels/matmul.h"

namespace stemma::STEMMA_ISA {

/**
 * One product of at most kNarrowRows rows with blocks of weights stored [n, k], as ggml computes it: rows are rounded to
 * bytes block by block, products of integers are summed exactly, and scales multiply the sums. An element of the result
 * depends on its row and its column alone, not on how many rows there are.
 */
void integerProduct(const Matmul& product, int threads);

}  // namespace stemma::STEMMA_ISA
