#pragma once

#include <stdint.h>

namespace stemma {

/** One parameter and what AdamW keeps of it. */
struct AdamWTensor {
  float* parameter;
  const float* gradient;
  float* firstMoment;
  float* secondMoment;
  int64_t length;
  float weightDecay;
  /** Multiplies the learning rate. */
  float rateScale;
};

/** A parameter and the running average of it. */
struct AveragedTensor {
  float* average;
  const float* parameter;
  int64_t length;
};

/** Numbers that all parameters of a step share. */
struct AdamWConstants {
  double learningRate;
  double beta1;
  double beta2;
  double epsilon;
  /** 1-based. */
  double step;
  /** Multiplies every gradient. */
  float gradientScale;
};

}  // namespace stemma
