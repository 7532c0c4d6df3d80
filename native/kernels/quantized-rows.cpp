#include "kernels/quantized-rows.h"

namespace stemma::STEMMA_ISA {

namespace {

/** Blocks of less than this are zeros: 127 over it is still a number. */
constexpr float kSmallest = 1e-36f;

/** Largest of the lanes. */
STEMMA_INLINE int32_t largestLane(IntVec x) {
#if defined(__AVX512F__)
  return _mm512_reduce_max_epi32((__m512i)x);
#elif defined(__AVX2__)
  const __m256i all = (__m256i)x;
  __m128i top = _mm_max_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
  top = _mm_max_epi32(top, _mm_shuffle_epi32(top, 0x4e));
  return _mm_cvtsi128_si32(_mm_max_epi32(top, _mm_shuffle_epi32(top, 0xb1)));
#else
  int32_t top = x[0];
  for (int i = 1; i < kLanes; i++) top = x[i] > top ? x[i] : top;
  return top;
#endif
}

/** Largest magnitude of a block; NaN when a number is not finite. Bits of magnitudes are in the order of these. */
STEMMA_INLINE float largestOf(const float* x, int64_t length) {
  IntVec top = {};
  for (int64_t i = 0; i < length; i += kLanes) {
    const IntVec some = bitsOf(abs(load(x + i)));
    top = some > top ? some : top;
  }
  const int32_t largest = largestLane(top), bits = largest < 0x7f800000 ? largest : 0x7fc00000;
  return loadAs<float>(&bits);
}

/** Nearest integers, ties to even. The product that is rounded has been rounded to a float itself, as ggml's has. */
STEMMA_INLINE IntVec nearestIntegers(Vec x) {
#if defined(__AVX512F__)
  return (IntVec)_mm512_cvtps_epi32((__m512)x);
#elif defined(__AVX2__)
  return (IntVec)_mm256_cvtps_epi32((__m256)x);
#elif defined(__SSE2__)
  return (IntVec)_mm_cvtps_epi32((__m128)x);
#elif defined(__aarch64__)
  return (IntVec)vcvtnq_s32_f32((float32x4_t)x);
#else
  IntVec nearest;
  for (int i = 0; i < kLanes; i++) nearest[i] = (int32_t)__builtin_rintf(x[i]);
  return nearest;
#endif
}

/** 32 numbers times `by` as bytes; the products are within ±127. */
STEMMA_INLINE void roundRun(const float* x, float by, int8_t* to) {
  IntVec some[kBlockVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kBlockVectors; v++) some[v] = nearestIntegers(load(x + v * kLanes) * by);
#if defined(__AVX2__) && !defined(__AVX512F__)
  // Packing is by halves of registers; the last step puts their pieces into order.
  const __m256i low = _mm256_packs_epi32((__m256i)some[0], (__m256i)some[1]);
  const __m256i high = _mm256_packs_epi32((__m256i)some[2], (__m256i)some[3]);
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
  memcpy(to, &bytes, sizeof bytes);
#elif defined(__SSE2__) && !defined(__AVX512F__)
  for (int half = 0; half < 2; half++) {
    const IntVec* const four = some + 4 * half;
    const __m128i low = _mm_packs_epi32((__m128i)four[0], (__m128i)four[1]);
    const __m128i bytes = _mm_packs_epi16(low, _mm_packs_epi32((__m128i)four[2], (__m128i)four[3]));
    memcpy(to + 16 * half, &bytes, sizeof bytes);
  }
#else
  for (int v = 0; v < kBlockVectors; v++) {
    const Bytes bytes = __builtin_convertvector(some[v], Bytes);
    memcpy(to + v * kLanes, &bytes, sizeof bytes);
  }
#endif
}

/** Sum of 16 bytes with a sign. */
STEMMA_INLINE int32_t sumOf16(const int8_t* x) {
#if defined(__SSE2__)
  const __m128i above = _mm_xor_si128(_mm_loadu_si128((const __m128i*)x), _mm_set1_epi8((char)0x80));
  const __m128i halves = _mm_sad_epu8(above, _mm_setzero_si128());
  return _mm_cvtsi128_si32(halves) + _mm_cvtsi128_si32(_mm_unpackhi_epi64(halves, halves)) - 16 * 128;
#elif defined(__aarch64__)
  return vaddlvq_s8(vld1q_s8(x));
#else
  int32_t sum = 0;
  for (int i = 0; i < 16; i++) sum += x[i];
  return sum;
#endif
}

/** The nearest float16, ties to even, as ggml keeps the scales of 32 numbers and their sums; unchanged beyond its range. */
STEMMA_INLINE float asHalf(float x) {
  uint32_t bits = loadAs<uint32_t>(&x);
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x477ff000) return x;  // what rounds beyond 65504
  if (magnitude < 0x38800000) return __builtin_copysignf((__builtin_fabsf(x) + 0.5f) - 0.5f, x);  // in steps of 2⁻²⁴
  bits = (bits + 0xfff + (bits >> 13 & 1)) & ~0x1fffu;
  return loadAs<float>(&bits);
}

/** Rounds a block of 32. */
STEMMA_INLINE void quantizeShortBlock(WeightFormat weights, const float* x, int64_t block, const QuantizedRow& row) {
  int8_t* const quants = row.quants + block * kBlock;
  const float largest = largestOf(x, kBlock), scale = largest / 127;
  roundRun(x, largest > kSmallest ? 127 / largest : 0, quants);
  row.scales[block] = asHalf(scale);
  const int32_t sum = sumOf16(quants) + sumOf16(quants + 16);
  row.starts[block] = -quantOffset(weights) * sum;
  row.sums[block] = asHalf(scale * (float)sum);
}

/** Rounds a block of 256. Where its largest number is negative ggml's signs are the other way round, and products the same. */
STEMMA_INLINE void quantizeLongBlock(WeightFormat weights, const float* x, int64_t block, const QuantizedRow& row) {
  int8_t* const quants = row.quants + block * kLongBlock;
  const float largest = largestOf(x, kLongBlock), by = largest > kSmallest ? 127 / largest : 0;
  for (int i = 0; i < kLongBlock; i += kBlock) roundRun(x + i, by, quants + i);
  row.scales[block] = largest <= kSmallest ? 0 : 1 / (127 / largest);
  int32_t sums[16];
  for (int run = 0; run < 16; run++) sums[run] = sumOf16(quants + 16 * run);
  if (!hasMinimum(weights)) {
    for (int run = 0; run < 16; run++) row.starts[block * 16 + run] = -quantOffset(weights) * sums[run];
    return;
  }
  int32_t* const runSums = row.runSums + block * 16;
  for (int run = 0; run < 8; run++) {
    runSums[run] = 0;
    runSums[8 + run] = sums[2 * run] + sums[2 * run + 1];
  }
  for (int i = 0; i < 4; i++) {
    row.runPairs[block * 4 + i] = (int32_t)((runSums[8 + 2 * i] & 0xffff) | (uint32_t)runSums[9 + 2 * i] << 16);
  }
}

}  // namespace

void quantizeRow(WeightFormat weights, const float* x, int64_t k, const QuantizedRow& row) {
  const int64_t padding = QuantizedRow::padded(k) - k;
  if (blockLength(weights) == kLongBlock) {
    for (int64_t at = 0; at < k; at += kLongBlock) quantizeLongBlock(weights, x + at, at / kLongBlock, row);
  } else {
    for (int64_t at = 0; at < k; at += kBlock) quantizeShortBlock(weights, x + at, at / kBlock, row);
  }
  memset(row.quants + k, 0, padding);
  if (!multipliesPairs(weights)) return;
  for (int64_t i = 0; i < k + padding; i++) row.wide[i] = row.quants[i];
}

}  // namespace stemma::STEMMA_ISA
