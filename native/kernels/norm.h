#pragma once

#include <stdint.h>

namespace stemma {

/** Gradient of a norm over `rows` rows of `width`; the pointers marked so may be null. */
struct NormGradient {
  int64_t rows;
  int64_t width;
  /** Rows of gain and bias: each serves as many consecutive rows of x; 1 for the root-mean-square norm. */
  int64_t samples;
  const float* x;
  /** May be null for layer norm: 1. */
  const float* gain;
  /** Mean of each row; null for the root-mean-square norm. */
  const float* mean;
  const float* rstd;
  const float* dy;
  /** Added to dx; may be dx, or null. */
  const float* residual;
  float* dx;
  /** Overwritten; may be null. */
  float* dGain;
  float* dBias;
};

}  // namespace stemma
