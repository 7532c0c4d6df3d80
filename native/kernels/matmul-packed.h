#pragma once

#include "kernels/isa.h"
#include "kernels/matmul.h"

namespace stemma::STEMMA_ISA {

/**
 * Products (`batch` is not looked at) that do not depend on each other, by packing both operands into panels and filling
 * tiles of the output. `residual` must not be `out`.
 */
void packedProducts(const Matmul* products, int64_t count, int threads);

}  // namespace stemma::STEMMA_ISA
