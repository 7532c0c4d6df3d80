#pragma once

#include <stdint.h>

namespace stemma {

/** A stretch of float32 numbers. */
struct Span {
  const float* data;
  int64_t length;
};

}  // namespace stemma
