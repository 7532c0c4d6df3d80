#pragma once

#include <stdint.h>

#include "kernels/matmul.h"

namespace stemma {

/** Pictures x [batch, height, width, channels], filters [outChannels, tapRows, tapColumns, channels] and their results. */
struct ConvolutionShape {
  int64_t batch, height, width, channels;
  int64_t outHeight, outWidth, outChannels;
  int64_t tapRows, tapColumns;
  /** Place (i, j) sees the picture from (i · stride − top, j · stride − left) on; 0 outside of it. */
  int64_t stride, top, left;
  /** Operands are rounded to bfloat16; sums stay float32. */
  bool useBfloat16;
};

/** out = activation(x ∗ weight + bias); the value before the activation is kept where there is room. */
struct Convolution {
  ConvolutionShape shape;
  const float* x;
  const float* weight;
  const float* bias;
  Activation activation;
  float* preActivation;
  float* out;
};

/** One of its gradients, overwritten or added to: of x from dy and weight, or of the weight from dy and x. */
struct ConvolutionGradient {
  ConvolutionShape shape;
  const float* dy;
  const float* other;
  float* out;
  bool accumulate;
};

}  // namespace stemma
