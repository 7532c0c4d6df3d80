#pragma once

#include "kernels/isa.h"
#include "kernels/matmul.h"
#include "kernels/units.h"

namespace stemma::STEMMA_ISA {

/** Units of a block of k: a panel of b takes two thirds of a first cache of 48 KB. */
constexpr int64_t kBlockUnits = 256;

/**
 * Units of each block into which k is cut, all of about the same size; weights are cut between their own blocks. Each
 * block is summed by itself, in order, and added to what the ones before it came to: in every product of whatever rows.
 */
inline int64_t blockUnits(Format format, int64_t units, WeightFormat weights) {
  const int64_t blocks = units > kBlockUnits ? (units + kBlockUnits - 1) / kBlockUnits : 1;
  const int64_t even = (units + blocks - 1) / blocks, run = unitRun(format), block = blockLength(weights);
  const int64_t whole = run > block ? run : block;
  return (even + whole - 1) / whole * whole;
}

/**
 * Products (`batch` is not looked at) that do not depend on each other, by packing both operands into panels and filling
 * tiles of the output. `residual` must not be `out`.
 */
void packedProducts(const Matmul* products, int64_t count, int threads);

}  // namespace stemma::STEMMA_ISA
