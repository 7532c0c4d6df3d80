#pragma once

#include <stdint.h>

namespace stemma {

/** How weights lie in memory, as `weightFormats` in src/backend/weight-formats.ts; the first is that of all computing. */
enum class WeightFormat { float32, bfloat16, float16, q8_0, q4_0, q4_1, q5_0, q5_1, q4_k, q5_k, q6_k };

/** Kinds there are. */
constexpr int kWeightFormats = 11;

/** Numbers in a block, the least that can be read of a format. */
constexpr int64_t blockLength(WeightFormat format) {
  if (format < WeightFormat::q8_0) return 1;
  return format < WeightFormat::q4_k ? 32 : 256;
}

/** Bytes of a block. */
constexpr int64_t blockBytes(WeightFormat format) {
  switch (format) {
    case WeightFormat::bfloat16:
    case WeightFormat::float16: return 2;
    case WeightFormat::q8_0: return 34;
    case WeightFormat::q4_0: return 18;
    case WeightFormat::q4_1: return 20;
    case WeightFormat::q5_0: return 22;
    case WeightFormat::q5_1: return 24;
    case WeightFormat::q4_k: return 144;
    case WeightFormat::q5_k: return 176;
    case WeightFormat::q6_k: return 210;
    default: return 4;
  }
}

/** Bytes of so many numbers, a multiple of the block; those before number `length` are also where it begins. */
constexpr int64_t bytesOf(WeightFormat format, int64_t length) {
  return (int64_t)((uint64_t)length / (uint64_t)blockLength(format)) * blockBytes(format);
}

}  // namespace stemma
