#pragma once

#include <stdint.h>

namespace stemma {

/** How weights lie in memory, as `weightFormats` in src/backend/weight-formats.ts; the first is that of all computing. */
enum class WeightFormat { float32, bfloat16, q8_0, q4_0 };

/** Kinds there are. */
constexpr int kWeightFormats = 4;

/** Numbers in a block, the least that can be read of a format. */
constexpr int64_t blockLength(WeightFormat format) {
  return format == WeightFormat::float32 || format == WeightFormat::bfloat16 ? 1 : 32;
}

/** Bytes of a block. */
constexpr int64_t blockBytes(WeightFormat format) {
  switch (format) {
    case WeightFormat::bfloat16: return 2;
    case WeightFormat::q8_0: return 34;
    case WeightFormat::q4_0: return 18;
    default: return 4;
  }
}

/** Bytes of so many numbers, a multiple of the block; those before number `length` are also where it begins. */
constexpr int64_t bytesOf(WeightFormat format, int64_t length) {
  return (int64_t)((uint64_t)length / (uint64_t)blockLength(format)) * blockBytes(format);
}

}  // namespace stemma
