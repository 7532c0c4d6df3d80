#pragma once

#include "kernels/matmul.h"
#include "kernels/isa.h"

namespace stemma::STEMMA_ISA {

/** One product (`batch` is not looked at) by packing both operands into panels and filling tiles of the output. */
void packedProduct(const Matmul& product, int threads);

}  // namespace stemma::STEMMA_ISA
