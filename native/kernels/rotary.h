#pragma once

#include <stdint.h>

namespace stemma {

/** Operands of the rotary kernel; see `Rotary` in src/backend/kernels.ts. */
struct Rotation {
  const float* x;
  /** Null: the place in time, row % time. */
  const int32_t* positions;
  const float* cos;
  const float* sin;
  float* out;
  int64_t rows;
  int64_t time;
  int64_t width;
  int64_t heads;
  int64_t half;
  bool inverse;
};

}  // namespace stemma
