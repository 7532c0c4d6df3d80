#pragma once

#include "kernels/isa.h"
#include "kernels/matmul.h"

namespace stemma::STEMMA_ISA {

/** Most rows that a narrow product may have. */
constexpr int64_t kNarrowRows = 8;

/** Whether a product is one: blocks of weights are not read as they lie. */
inline bool isNarrow(const Matmul& p) { return p.m <= kNarrowRows && p.k > 0 && blockLength(p.weights) == 1; }

/**
 * One narrow product (`batch` is not looked at), as in decoding: b is read once, in the order in
 * which it lies in memory, and is not packed. `residual` must not be `out`.
 */
void narrowProduct(const Matmul& product, int threads);

}  // namespace stemma::STEMMA_ISA
