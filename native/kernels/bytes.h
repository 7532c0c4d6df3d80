#pragma once

#include "kernels/vector.h"

/** Registers of bytes, and their products: small integers that become sums of 32 bits. */
namespace stemma::STEMMA_ISA {

typedef uint8_t ByteVec __attribute__((vector_size(STEMMA_VECTOR_BYTES)));
typedef int8_t SignedByteVec __attribute__((vector_size(STEMMA_VECTOR_BYTES)));

/** Bytes in a register. */
constexpr int kByteLanes = STEMMA_VECTOR_BYTES;

STEMMA_INLINE ByteVec broadcastByte(uint8_t x) { return x - ByteVec{}; }

STEMMA_INLINE SignedByteVec loadBytes(const int8_t* from) {
  SignedByteVec x;
  memcpy(&x, from, sizeof x);
  return x;
}

#if defined(__SSE2__) && !defined(__AVX2__)
/** Eight products of bytes that were widened to 16 bits, neighbours added. */
STEMMA_INLINE IntVec pairSums(__m128i x, __m128i y) { return (IntVec)_mm_madd_epi16(x, y); }
#endif

/**
 * sums[i] + products of x and y. Which products a lane gets is the processor's choice, but the same for all x and y, and
 * never from further away than 16 bytes. y is within ±127, and x at most 63: pairs must fit 16 bits.
 */
STEMMA_INLINE IntVec dotBytes(IntVec sums, ByteVec x, SignedByteVec y) {
#if defined(__AVX512VNNI__)
  return (IntVec)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)x, (__m512i)y);
#elif defined(__AVX512BW__)
  const __m512i pairs = _mm512_maddubs_epi16((__m512i)x, (__m512i)y);
  return sums + (IntVec)_mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
#elif defined(__AVX2__)
  const __m256i pairs = _mm256_maddubs_epi16((__m256i)x, (__m256i)y);
  return sums + (IntVec)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#elif defined(__ARM_FEATURE_DOTPROD)
  return (IntVec)vdotq_s32((int32x4_t)sums, (int8x16_t)x, (int8x16_t)y);
#elif defined(__aarch64__)
  const int8x16_t a = (int8x16_t)x, b = (int8x16_t)y;
  const int32x4_t low = vpadalq_s16((int32x4_t)sums, vmull_s8(vget_low_s8(a), vget_low_s8(b)));
  return (IntVec)vpadalq_s16(low, vmull_high_s8(a, b));
#elif defined(__SSE2__)
  const __m128i none = _mm_setzero_si128(), a = (__m128i)x, b = (__m128i)y;
  const __m128i low = _mm_srai_epi16(_mm_unpacklo_epi8(none, b), 8), high = _mm_srai_epi16(_mm_unpackhi_epi8(none, b), 8);
  return sums + pairSums(_mm_unpacklo_epi8(a, none), low) + pairSums(_mm_unpackhi_epi8(a, none), high);
#else
  for (int i = 0; i < kByteLanes; i++) sums[i / 4] += (int32_t)x[i] * y[i];
  return sums;
#endif
}

/** How far `dotSigned` wants its first operand above its value. */
#if defined(__AVX512VNNI__)
constexpr int kSignedOffset = 128;
#else
constexpr int kSignedOffset = 0;
#endif

/** The same for x of any eight bits with a sign; the products of kSignedOffset with y come on top. */
STEMMA_INLINE IntVec dotSigned(IntVec sums, ByteVec x, SignedByteVec y) {
#if defined(__AVX512VNNI__)
  return (IntVec)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)(x ^ 0x80), (__m512i)y);
#elif defined(__AVX512BW__)
  // The sign goes from x, which must have none, to y.
  const __mmask64 isNegative = _mm512_movepi8_mask((__m512i)x);
  const __m512i signedY = _mm512_mask_sub_epi8((__m512i)y, isNegative, _mm512_setzero_si512(), (__m512i)y);
  const __m512i pairs = _mm512_maddubs_epi16(_mm512_abs_epi8((__m512i)x), signedY);
  return sums + (IntVec)_mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
#elif defined(__AVX2__)
  const __m256i signedY = _mm256_sign_epi8((__m256i)y, (__m256i)x);
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8((__m256i)x), signedY);
  return sums + (IntVec)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#elif defined(__SSE2__)
  const __m128i none = _mm_setzero_si128(), a = (__m128i)x, b = (__m128i)y;
  const __m128i lowA = _mm_srai_epi16(_mm_unpacklo_epi8(none, a), 8), highA = _mm_srai_epi16(_mm_unpackhi_epi8(none, a), 8);
  const __m128i lowB = _mm_srai_epi16(_mm_unpacklo_epi8(none, b), 8), highB = _mm_srai_epi16(_mm_unpackhi_epi8(none, b), 8);
  return sums + pairSums(lowA, lowB) + pairSums(highA, highB);
#elif defined(__aarch64__)
  return dotBytes(sums, x, y);
#else
  for (int i = 0; i < kByteLanes; i++) sums[i / 4] += (int32_t)(int8_t)x[i] * y[i];
  return sums;
#endif
}

}  // namespace stemma::STEMMA_ISA
