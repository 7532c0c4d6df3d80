#include "kernels/quantized-rows.h"

namespace stemma::STEMMA_ISA {

namespace {

/** Blocks of less than this are zeros: 127 over it is still a number. */
constexpr float kSmallest = 1e-36f;

/** Largest magnitude of a block; NaN or infinite when a number is. */
struct Extent {
  /** The number of that magnitude with its sign. */
  float signedLargest;
  float largest;
};

Extent extentOf(const float* x, int64_t length) {
  Vec top = broadcast(-3.4e38f), bottom = broadcast(3.4e38f), fault = {};
  for (int64_t i = 0; i < length; i += kLanes) {
    const Vec some = load(x + i);
    top = max(some, top);
    bottom = min(some, bottom);
    fault += some * 0.0f;  // 0, but NaN where a number is not finite
  }
  const float most = maxLanes(top), least = -maxLanes(-bottom), nothing = sumLanes(fault);
  const bool isNegative = -least > most;
  return {(isNegative ? least : most) + nothing, (isNegative ? -least : most) + nothing};
}

/** Nearest integers of x · by as bytes, ties to even; products are within ±127. */
void roundBlock(const float* x, float by, int64_t length, int8_t* to) {
  const Vec shift = broadcast(12582912.0f);  // 1.5 · 2²³: the integer is then the lowest bits
  for (int64_t i = 0; i < length; i += kLanes) {
    const IntVec bits = bitsOf(load(x + i) * by + shift);
    const Bytes bytes = __builtin_convertvector(bits - bitsOf(shift), Bytes);
    memcpy(to + i, &bytes, sizeof bytes);
  }
}

/**
 * The nearest float16, ties to even, as ggml keeps the scales of 32 numbers and their sums. Beyond the range in which that
 * has eleven bits a number stays as it is.
 */
float asHalf(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude < 0x38800000 || magnitude >= 0x477ff000) return x;  // 2⁻¹⁴, and what rounds beyond 65504
  bits = (bits + 0xfff + (bits >> 13 & 1)) & ~0x1fffu;
  memcpy(&x, &bits, sizeof x);
  return x;
}

int32_t sumOf(const int8_t* x, int64_t length) {
  int32_t sum = 0;
  for (int64_t i = 0; i < length; i++) sum += x[i];
  return sum;
}

void quantizeShortBlocks(bool needsSums, const float* x, int64_t k, const QuantizedRow& row) {
  constexpr int64_t kLanesEach = kBlock / 4;  // 32 bytes beside 8 lanes
  if (needsSums) memset(row.sums, 0, QuantizedRow::registers(k) * kByteLanes);
  for (int64_t at = 0; at < k; at += kBlock) {
    const Extent extent = extentOf(x + at, kBlock);
    const float scale = extent.largest / 127;
    int8_t* const quants = row.quants + at;
    roundBlock(x + at, extent.largest > kSmallest ? 127 / extent.largest : 0, kBlock, quants);
    const float kept = asHalf(scale);
    for (int64_t i = 0; i < kLanesEach; i++) row.scales[at / 4 + i] = kept;
    if (needsSums) row.sums[at / 4] = asHalf(scale * (float)sumOf(quants, kBlock));
  }
}

void quantizeLongBlocks(bool needsSums, const float* x, int64_t k, const QuantizedRow& row) {
  for (int64_t at = 0; at < k; at += kLongBlock) {
    const Extent extent = extentOf(x + at, kLongBlock);
    const float scale = extent.signedLargest / -127;
    int8_t* const quants = row.quants + at;
    roundBlock(x + at, extent.largest > kSmallest ? -127 / extent.signedLargest : 0, kLongBlock, quants);
    row.scales[at / kLongBlock] = scale;
    if (!needsSums) continue;
    int32_t* const sums = row.runSums + at / kLongBlock * 16;
    for (int run = 0; run < 8; run++) {
      sums[run] = 0;
      sums[8 + run] = sumOf(quants + run * 32, 32);
    }
  }
}

}  // namespace

void quantizeRow(WeightFormat weights, const float* x, int64_t k, const QuantizedRow& row) {
  const int64_t registers = QuantizedRow::registers(k), padding = registers * kByteLanes - k;
  if (blockLength(weights) == kLongBlock) quantizeLongBlocks(hasMinimum(weights), x, k, row);
  else quantizeShortBlocks(hasMinimum(weights), x, k, row);
  if (padding > 0) {
    memset(row.quants + k, 0, padding);
    memset(row.scales + k / 4, 0, padding);
  }
  const int offset = quantOffset(weights);
  for (int64_t v = 0; v < registers; v++) {
    const IntVec sums = dotBytes(IntVec{}, broadcastByte(1), loadBytes(row.quants + v * kByteLanes));
    store(row.starts + v * kLanes, sums * -offset);
  }
}

}  // namespace stemma::STEMMA_ISA
