#pragma once

#include <stdint.h>

namespace stemma {

/** Functions of two numbers, in the order of `binaryKinds` in src/backend/native. */
enum class BinaryKind { add, sub, mul, div, maximum, minimum, greater, greaterEqual, equal };
constexpr int kBinaryKinds = 9;

/** Axes a kernel that walks memory can tell apart. */
constexpr int kMaxRank = 8;

/** A walk of two operands and a result over one shape; strides in elements, 0 along a broadcast axis. */
struct Broadcast {
  int rank;
  int64_t shape[kMaxRank];
  int64_t stridesA[kMaxRank];
  int64_t stridesB[kMaxRank];
};

}  // namespace stemma
