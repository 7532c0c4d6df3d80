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
 * A row as integers times a scale for each block, as ggml rounds it: 127 steps up to the number of largest magnitude. One
 * register of bytes goes with one register of each list below, so that a product loads what it needs as it lies.
 */
struct QuantizedRow {
  /** The integers; zeros after the last block. */
  int8_t* quants;
  /** What sums begin with: the products with the weights' offset, taken away. */
  int32_t* starts;
  /** In blocks of 32 the scale in every lane, in blocks of 256 one number each. */
  float* scales;
  /** What minima multiply: in blocks of 32 the sum of the numbers in a lane of each block, zeros in the others. */
  float* sums;
  /** In blocks of 256 sixteen integers each: zeros, then the sums of the eight runs. */
  int32_t* runSums;

  /** Bytes that a row of k numbers takes. */
  static int64_t bytes(int64_t k) { return 4 * registers(k) * kByteLanes; }
  static int64_t registers(int64_t k) { return (k + kByteLanes - 1) / kByteLanes; }

  QuantizedRow(char* memory, int64_t k)
      : quants((int8_t*)memory),
        starts((int32_t*)(memory + registers(k) * kByteLanes)),
        scales((float*)(memory + 2 * registers(k) * kByteLanes)),
        sums((float*)(memory + 3 * registers(k) * kByteLanes)),
        runSums((int32_t*)sums) {}
};

/** Rounds k numbers, whole blocks of the weights that they are going to meet. What is no finite number stays none. */
void quantizeRow(WeightFormat weights, const float* x, int64_t k, const QuantizedRow& row);

}  // namespace stemma::STEMMA_ISA
