#pragma once

#include "kernels/functions.h"
#include "kernels/matmul.h"

namespace stemma::STEMMA_ISA {

/** x · Φ(x): Hendrycks & Gimpel (2016), with the exact normal distribution. */
STEMMA_INLINE Vec gelu(Vec x) { return 0.5f * x * (1.0f + erf(x * 0.70710678f)); }

/** Its tanh approximation: ½x · (1 + tanh(√(2/π) · (x + 0.044715 x³))), which is x · sigmoid of twice that argument. */
STEMMA_INLINE Vec geluTanh(Vec x) {
  return x * sigmoid(x * fma(x * x, broadcast(0.0713548163f), broadcast(1.59576912f)));
}

STEMMA_INLINE Vec silu(Vec x) { return x * sigmoid(x); }

/** max(x, 0), with NaN passed on. */
STEMMA_INLINE Vec relu(Vec x) { return max(broadcast(0.0f), x); }

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
