#pragma once

#include "kernels/functions.h"

/** Activations, written once: a product that applies one and a kernel that applies it again give the same bits. */
namespace stemma::STEMMA_ISA {

/** x · Φ(x): Hendrycks & Gimpel (2016), with the exact normal distribution. */
STEMMA_INLINE Vec gelu(Vec x) { return 0.5f * x * (1.0f + erf(x * 0.70710678f)); }

/** Its tanh approximation: ½x · (1 + tanh(√(2/π) · (x + 0.044715 x³))), which is x · sigmoid of twice that argument. */
STEMMA_INLINE Vec geluTanh(Vec x) {
  return x * sigmoid(x * fma(x * x, broadcast(0.0713548163f), broadcast(1.59576912f)));
}

STEMMA_INLINE Vec silu(Vec x) { return x * sigmoid(x); }

/** x · σ(1.702x): the approximation of GELU that Hendrycks & Gimpel give beside the one with tanh; CLIP's. */
STEMMA_INLINE Vec quickGelu(Vec x) { return x * sigmoid(1.702f * x); }

/** max(x, 0), with NaN passed on. */
STEMMA_INLINE Vec relu(Vec x) { return max(broadcast(0.0f), x); }

}  // namespace stemma::STEMMA_ISA
