#pragma once

#include "kernels/bytes.h"
#include "kernels/weights.h"

/** Rows of activations as bytes, to be multiplied with the integers of weights. */
namespace stemma::STEMMA_ISA {

/** What the integers of a format lie above their values as integer products see them. */
constexpr int quantOffset(WeightFormat format) {
  switch (format) {
    case WeightFormat::q8_0: return kSignedOffset;
    case WeightFormat::q4_0: return 8;
    case WeightFormat::q5_0: return 16;
    case WeightFormat::q6_k: return 32;
    default: return 0;
  }
}

/** Numbers whose scale is one: a block of the weights. */
constexpr int64_t kLongBlock = 256;

/**
 * Whether products of many rows multiply pairs of 16 bits instead of four bytes: where sums of products of bytes do not
 * fit, and where no instruction makes them.
 */
constexpr bool multipliesPairs(WeightFormat format) {
#if defined(__AVX512VNNI__) || defined(__ARM_FEATURE_DOTPROD)
  return (void)format, false;
#elif defined(__AVX2__)
  return format == WeightFormat::q8_0;
#else
  return (void)format, true;
#endif
}

/** A row as integers times a scale for each block, as ggml rounds it: 127 steps up to the number of largest magnitude. */
struct QuantizedRow {
  /** The integers; zeros after the last block, up to a multiple of 64. */
  int8_t* quants;
  /** What a block is multiplied by. */
  float* scales;
  /** In blocks of 32 what minima multiply: the sum of the numbers. */
  float* sums;
  /** In blocks of 256 with minima sixteen integers each: zeros, then the sums of the eight runs. */
  int32_t* runSums;
  /** The same sums as pairs of 16 bits, four to a block. */
  int32_t* runPairs;
  /**
   * What a sum of products begins with: the products with the weights' offset, taken away. One for each block of 32; in
   * blocks of 256 one for each run of 16.
   */
  int32_t* starts;
  /** The integers in 16 bits, where `multipliesPairs`. */
  int16_t* wide;

  /** Numbers of a row with its padding. */
  static constexpr int64_t padded(int64_t k) { return (k + 63) / 64 * 64; }
  /** Bytes that a row of k numbers takes, a multiple of 64. */
  static constexpr int64_t bytes(WeightFormat weights, int64_t k) {
    return (padded(k) * (multipliesPairs(weights) ? 30 : 14) / 8 + 63) / 64 * 64;
  }

  QuantizedRow(char* memory, int64_t k)
      : quants((int8_t*)memory),
        scales((float*)(memory + padded(k))),
        sums((float*)(memory + padded(k) * 9 / 8)),
        runSums((int32_t*)sums),
        runPairs((int32_t*)(memory + padded(k) * 11 / 8)),
        starts((int32_t*)(memory + padded(k) * 12 / 8)),
        wide((int16_t*)(memory + padded(k) * 14 / 8)) {}
};

/**
 * Rounds k numbers, whole blocks of the weights that they are going to meet, and fills the lists that these need. What is
 * no finite number stays none.
 */
void quantizeRow(WeightFormat weights, const float* x, int64_t k, const QuantizedRow& row);

}  // namespace stemma::STEMMA_ISA
