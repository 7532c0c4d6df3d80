#pragma once

#include "kernels/elementwise.h"

namespace stemma {

/** A copy from one walk through memory to another, over one shape; strides in elements. */
struct Transfer {
  int rank;
  int64_t shape[kMaxRank];
  int64_t from[kMaxRank];
  int64_t to[kMaxRank];
};

}  // namespace stemma
