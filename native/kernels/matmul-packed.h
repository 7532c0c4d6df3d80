#pragma once

#include "kernels/isa.h"
#include "kernels/matmul.h"

namespace stemma::STEMMA_ISA {

/**
 * One product (`batch` is not looked at) by packing both operands into panels and filling tiles of
 * the output. `residual` must not be `out`.
 */
void packedProduct(const Matmul& product, int threads);

}  // namespace stemma::STEMMA_ISA
