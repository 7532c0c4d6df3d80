#pragma once

#include <string.h>

#include "kernels/isa.h"

namespace stemma::STEMMA_ISA {

/** Registers as GCC and Clang vector types: arithmetic and comparisons are ordinary operators. */
typedef float Vec __attribute__((vector_size(STEMMA_VECTOR_BYTES)));
typedef int32_t IntVec __attribute__((vector_size(STEMMA_VECTOR_BYTES)));
typedef uint32_t WordVec __attribute__((vector_size(STEMMA_VECTOR_BYTES)));

constexpr int kLanes = STEMMA_VECTOR_BYTES / 4;

typedef float UnalignedVec __attribute__((vector_size(STEMMA_VECTOR_BYTES), aligned(4), may_alias));
typedef int32_t UnalignedIntVec __attribute__((vector_size(STEMMA_VECTOR_BYTES), aligned(4), may_alias));

STEMMA_INLINE Vec load(const float* from) { return *(const UnalignedVec*)from; }
STEMMA_INLINE IntVec load(const int32_t* from) { return *(const UnalignedIntVec*)from; }
STEMMA_INLINE void store(float* to, Vec x) { *(UnalignedVec*)to = x; }
STEMMA_INLINE void store(int32_t* to, IntVec x) { *(UnalignedIntVec*)to = x; }

STEMMA_INLINE Vec broadcast(float x) { return x - Vec{}; }
STEMMA_INLINE IntVec broadcast(int32_t x) { return x - IntVec{}; }

STEMMA_INLINE IntVec bitsOf(Vec x) { return (IntVec)x; }
STEMMA_INLINE Vec floatOf(IntVec bits) { return (Vec)bits; }
/** Nearest float of each signed integer. */
STEMMA_INLINE Vec toFloat(IntVec x) { return __builtin_convertvector(x, Vec); }

/** First `count` lanes (0 ≤ count ≤ kLanes) from memory, `rest` in the others; reads nothing beyond them. */
STEMMA_INLINE Vec loadPartial(const float* from, int64_t count, float rest = 0) {
#if defined(__AVX512F__)
  return (Vec)_mm512_mask_loadu_ps((__m512)broadcast(rest), (__mmask16)((1u << count) - 1), from);
#else
  float lanes[kLanes];
  for (int i = 0; i < kLanes; i++) lanes[i] = rest;
  for (int64_t i = 0; i < count; i++) lanes[i] = from[i];
  return load(lanes);
#endif
}

/** Writes the first `count` lanes (0 ≤ count ≤ kLanes) and nothing beyond them. */
STEMMA_INLINE void storePartial(float* to, Vec x, int64_t count) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(to, (__mmask16)((1u << count) - 1), (__m512)x);
#else
  float lanes[kLanes];
  store(lanes, x);
  for (int64_t i = 0; i < count; i++) to[i] = lanes[i];
#endif
}

/** a · b + c, rounded once where the processor can. */
STEMMA_INLINE Vec fma(Vec a, Vec b, Vec c) { return a * b + c; }

/** Lane by lane `mask ? a : b`, for a mask made by comparing vectors. */
STEMMA_INLINE Vec select(IntVec mask, Vec a, Vec b) { return mask ? a : b; }

/** a > b ? a : b, so `b` where either is NaN: clamp with the bound as `a` to let NaN through. */
STEMMA_INLINE Vec max(Vec a, Vec b) {
#if defined(__AVX512F__)
  return (Vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (Vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
  return a > b ? a : b;
#endif
}

/** a < b ? a : b, so `b` where either is NaN. */
STEMMA_INLINE Vec min(Vec a, Vec b) {
#if defined(__AVX512F__)
  return (Vec)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (Vec)_mm256_min_ps((__m256)a, (__m256)b);
#else
  return a < b ? a : b;
#endif
}

STEMMA_INLINE Vec abs(Vec x) { return floatOf(bitsOf(x) & 0x7fffffff); }

STEMMA_INLINE Vec sqrt(Vec x) {
#if defined(__AVX512F__)
  return (Vec)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX2__)
  return (Vec)_mm256_sqrt_ps((__m256)x);
#else
  Vec root;
  for (int i = 0; i < kLanes; i++) root[i] = __builtin_sqrtf(x[i]);
  return root;
#endif
}

/** Sum of all lanes: halves are added until one number is left, always in the same order. */
STEMMA_INLINE float sumLanes(Vec x) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps((__m512)x);
#else
  float lanes[kLanes];
  store(lanes, x);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
  return lanes[0];
#endif
}

/** Largest lane; any number when a lane is NaN. */
STEMMA_INLINE float maxLanes(Vec x) {
#if defined(__AVX512F__)
  return _mm512_reduce_max_ps((__m512)x);
#else
  float lanes[kLanes];
  store(lanes, x);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) lanes[i] = lanes[i] > lanes[i + half] ? lanes[i] : lanes[i + half];
  return lanes[0];
#endif
}

/**
 * Calls `body(i, count)` for vector after vector of `length` elements; count is kLanes, and less in the last.
 * `body` is expanded twice, so that the compiler sees a constant count in the main loop.
 */
template <class Body>
STEMMA_INLINE void forVectors(int64_t length, Body&& body) {
  int64_t i = 0;
  for (; i + kLanes <= length; i += kLanes) body(i, (int64_t)kLanes);
  if (i < length) body(i, length - i);
}

/** `count` lanes, whole vectors at full speed: for use inside forVectors. */
STEMMA_INLINE Vec loadSome(const float* from, int64_t count, float rest = 0) {
  return count == kLanes ? load(from) : loadPartial(from, count, rest);
}
STEMMA_INLINE void storeSome(float* to, Vec x, int64_t count) {
  if (count == kLanes) store(to, x);
  else storePartial(to, x, count);
}

}  // namespace stemma::STEMMA_ISA
