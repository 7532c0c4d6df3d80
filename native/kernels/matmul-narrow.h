#pragma once

#include "kernels/isa.h"
#include "kernels/matmul.h"

namespace stemma::STEMMA_ISA {

/** Most rows that a narrow product may have. */
constexpr int64_t kNarrowRows = 8;

/**
 * One product (`batch` is not looked at) of at most kNarrowRows rows, as in decoding: b is read once, in the order in
 * which it lies in memory, and is not packed. `residual` must not be `out`.
 */
void narrowProduct(const Matmul& product, int threads);

}  // namespace stemma::STEMMA_ISA
