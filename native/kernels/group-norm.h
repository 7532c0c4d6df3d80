#pragma once

#include <stdint.h>

namespace stemma {

/** x is [batch, positions, channels]; a group is a stretch of channels / groups channels. */
struct GroupNormShape {
  int64_t batch, positions, channels, groups;
  /** Whether SiLU is applied to the result. */
  bool silu;
};

/** y = (x − mean) · rstd · gain + bias, then SiLU where it is asked for. */
struct GroupNorm {
  GroupNormShape shape;
  const float* x;
  /** [channels] */
  const float* gain;
  const float* bias;
  float epsilon;
  float* out;
  /** [batch, groups], kept for the gradient. */
  float* mean;
  float* rstd;
};

/** Its gradients, of which dx is overwritten with the sum of its own and `residual`. */
struct GroupNormGradient {
  GroupNormShape shape;
  const float* x;
  const float* gain;
  const float* bias;
  const float* mean;
  const float* rstd;
  const float* dy;
  /** Added to dx; may be dx, or null. */
  const float* residual;
  float* dx;
  /** [channels], overwritten; may be null. */
  float* dGain;
  float* dBias;
};

}  // namespace stemma
