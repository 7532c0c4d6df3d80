#pragma once

#include "kernels/vector.h"
#include "runtime/weight-format.h"

/**
 * Weights as numbers, read from the formats in which they lie. The blocks of 32 are ggml's: a float16 scale, and small
 * integers that it multiplies. `q4_0` keeps numbers i and i + 16 of a block in one byte, 8 above their values.
 */
namespace stemma::STEMMA_ISA {

typedef uint16_t HalfWords __attribute__((vector_size(STEMMA_VECTOR_BYTES / 2)));
typedef int8_t Bytes __attribute__((vector_size(STEMMA_VECTOR_BYTES / 4)));
typedef uint8_t UnsignedBytes __attribute__((vector_size(STEMMA_VECTOR_BYTES / 4)));

/** Numbers that share a scale, and the vectors they make. */
constexpr int64_t kBlock = 32;
constexpr int kBlockVectors = kBlock / kLanes;

template <class Wide>
STEMMA_INLINE Wide loadAs(const void* from) {
  Wide x;
  memcpy(&x, from, sizeof x);
  return x;
}

/** kLanes signed bytes as integers: compilers take such a step apart, where one instruction does it. */
STEMMA_INLINE IntVec widenSigned(const void* from) {
#if defined(__AVX512F__)
  return (IntVec)_mm512_cvtepi8_epi32(loadAs<__m128i>(from));
#elif defined(__AVX2__)
  return (IntVec)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i*)from));
#else
  return __builtin_convertvector(loadAs<Bytes>(from), IntVec);
#endif
}

/** The same of unsigned ones. */
STEMMA_INLINE WordVec widenUnsigned(const void* from) {
#if defined(__AVX512F__)
  return (WordVec)_mm512_cvtepu8_epi32(loadAs<__m128i>(from));
#elif defined(__AVX2__)
  return (WordVec)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)from));
#else
  return __builtin_convertvector(loadAs<UnsignedBytes>(from), WordVec);
#endif
}

/** The number whose float16 bits lie at `from`, in every lane. */
STEMMA_INLINE Vec scaleAt(const uint8_t* from) {
#if defined(__AVX512F__)
  return (Vec)_mm512_cvtph_ps(_mm256_set1_epi16(loadAs<int16_t>(from)));
#elif defined(__F16C__)
  return (Vec)_mm256_cvtph_ps(_mm_set1_epi16(loadAs<int16_t>(from)));
#else
  const uint32_t half = loadAs<uint16_t>(from);
  uint32_t bits = (half & 0x7fff) << 13;
  const bool isSubnormal = bits < 0x00800000;
  bits += isSubnormal ? 113u << 23 : 112u << 23;
  float x = loadAs<float>(&bits);
  if (isSubnormal) x -= 6.103515625e-5f;  // the implicit one that it does not have
  return broadcast(half & 0x8000 ? -x : x);
#endif
}

/** Vector `v` of a block's integers as floats. */
template <WeightFormat kWeights>
STEMMA_INLINE Vec quantsAt(const uint8_t* block, int v) {
  const uint8_t* quants = block + 2;
  if constexpr (kWeights == WeightFormat::q8_0) {
    return toFloat(widenSigned(quants + v * kLanes));
  } else {
    const int first = v * kLanes;
    const WordVec both = widenUnsigned(quants + first % 16);
    const WordVec shifted = both >> (first < 16 ? 0 : 4);
#if defined(__AVX512F__)
    // The instruction looks at four bits of each lane, and at nothing above them.
    const Vec values = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};
    return (Vec)_mm512_permutexvar_ps((__m512i)shifted, (__m512)values);
#else
    return toFloat((IntVec)(shifted & 15) - 8);
#endif
  }
}

/**
 * `count` numbers from number `at` of `weights` on, which begin with a whole block. In blocks `at` is a multiple of
 * kLanes, and `count` is kLanes; else it may be less, with zeros in the other lanes.
 */
template <WeightFormat kWeights>
STEMMA_INLINE Vec loadWeights(const void* weights, int64_t at, int64_t count) {
  if constexpr (kWeights == WeightFormat::float32) {
    return loadSome((const float*)weights + at, count);
  } else if constexpr (kWeights == WeightFormat::bfloat16) {
    const uint16_t* from = (const uint16_t*)weights + at;
    HalfWords halves = {};
    if (count == kLanes) halves = loadAs<HalfWords>(from);
    else for (int64_t i = 0; i < count; i++) halves[i] = from[i];
    return floatOf((IntVec)(__builtin_convertvector(halves, WordVec) << 16));
  } else {
    (void)count;
    const uint8_t* block = (const uint8_t*)weights + bytesOf(kWeights, at);
    return scaleAt(block) * quantsAt<kWeights>(block, (int)((uint64_t)at % kBlock / kLanes));
  }
}

/** Where number `at` lies, a multiple of the block. */
template <WeightFormat kWeights>
STEMMA_INLINE const void* weightsFrom(const void* weights, int64_t at) {
  return (const char*)weights + bytesOf(kWeights, at);
}

/** `length` numbers from number `at` of `weights` on, under the conditions of loadWeights for each vector of them. */
template <WeightFormat kWeights>
STEMMA_INLINE void decodeStretch(const void* weights, int64_t at, int64_t length, float* to) {
  forVectors(length, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
    storeSome(to + i, loadWeights<kWeights>(weights, at + i, count), count);
  });
}

/** A format that the compiler knows. */
template <WeightFormat kFormat>
struct Weights {
  static constexpr WeightFormat format = kFormat;
};

/** Calls `body` with a format as a constant of the compiler. */
template <class Body>
STEMMA_INLINE void forFormat(WeightFormat format, Body&& body) {
  switch (format) {
    case WeightFormat::float32: return body(Weights<WeightFormat::float32>{});
    case WeightFormat::bfloat16: return body(Weights<WeightFormat::bfloat16>{});
    case WeightFormat::q8_0: return body(Weights<WeightFormat::q8_0>{});
    case WeightFormat::q4_0: return body(Weights<WeightFormat::q4_0>{});
  }
}

}  // namespace stemma::STEMMA_ISA
