#pragma once

#include "kernels/activations.h"
#include "kernels/matmul.h"

namespace stemma::STEMMA_ISA {

/** What remains to be done to a block of finished sums. */
struct Epilogue {
  const float* bias;
  const float* residual;
  Activation activation;
  float* preActivation;

  bool isEmpty() const { return !bias && !residual && activation == Activation::none && !preActivation; }
};

/** Asks for what `finish` will read and write of rows × columns beside `out`, while the sums are still computed. */
STEMMA_INLINE void prefetch(const Epilogue& e, int64_t stride, int64_t at, int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; r++, at += stride) {
    for (int64_t j = 0; j < columns; j += kLanes) {
      if (e.residual) __builtin_prefetch(e.residual + at + j);
      if (e.preActivation) __builtin_prefetch(e.preActivation + at + j, 1);
    }
  }
}

/**
 * Finishes rows × columns of `out` in place; `at` is the position of the block's first element in `out`, and so in
 * `residual` and `preActivation`.
 */
void finish(const Epilogue& epilogue, float* out, int64_t stride, int64_t at, int64_t firstColumn, int64_t rows,
            int64_t columns);

}  // namespace stemma::STEMMA_ISA
