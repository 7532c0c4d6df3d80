#pragma once

#include "kernels/vector.h"
#include "runtime/weight-format.h"

/**
 * Weights as numbers, read from the formats in which they lie. Blocks are ggml's. Those of 32 numbers have a float16
 * scale, some a float16 minimum, and small integers: numbers i and i + 16 share a byte, and fifth bits lie apart. Those of
 * 256 have eight runs of 32, or sixteen of 16, whose scales are small integers times one float16.
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

/** kLanes neighbouring float16 as floats; all are finite. */
STEMMA_INLINE Vec widenHalves(HalfWords halves) {
#if defined(__AVX512F__)
  return (Vec)_mm512_cvtph_ps((__m256i)halves);
#elif defined(__F16C__)
  return (Vec)_mm256_cvtph_ps((__m128i)halves);
#else
  const WordVec words = __builtin_convertvector(halves, WordVec);
  const IntVec bits = (IntVec)((words & 0x7fff) << 13);
  const IntVec isSubnormal = bits < 0x00800000;
  const Vec x = floatOf(bits + (112 << 23) + (isSubnormal & 0x00800000));
  const Vec magnitude = select(isSubnormal, x - 6.103515625e-5f, x);
  return floatOf(bitsOf(magnitude) | (IntVec)((words & 0x8000) << 16));
#endif
}

/** The first (lower) or second numbers of pairs of 16-bit weights, a pair to a lane. */
template <WeightFormat kWeights, int kSecond>
STEMMA_INLINE Vec numbersOfPairs(Vec pairs) {
  const WordVec words = (WordVec)pairs;
  if constexpr (kWeights == WeightFormat::float16) {
    return widenHalves(__builtin_convertvector(kSecond ? words >> 16 : words & 0xffff, HalfWords));
  } else {
    return (Vec)(kSecond ? words & 0xffff0000 : words << 16);
  }
}

/** 0, 1, 2 … */
STEMMA_INLINE WordVec laneNumbers() {
  WordVec lanes;
  for (int i = 0; i < kLanes; i++) lanes[i] = i;
  return lanes;
}

/** Whether blocks have minima that are added. */
constexpr bool hasMinimum(WeightFormat format) {
  return format == WeightFormat::q4_1 || format == WeightFormat::q5_1 || format == WeightFormat::q4_k ||
         format == WeightFormat::q5_k;
}

/** Vector `v` of the integers of a block of 32, as floats. */
template <WeightFormat kWeights>
STEMMA_INLINE Vec quantsAt(const uint8_t* block, int v) {
  const int first = v * kLanes;
  if constexpr (kWeights == WeightFormat::q8_0) {
    return toFloat(widenSigned(block + 2 + first));
  } else {
    constexpr bool hasFifthBit = kWeights == WeightFormat::q5_0 || kWeights == WeightFormat::q5_1;
    constexpr int kBitsAt = hasMinimum(kWeights) ? 4 : 2, kQuantsAt = kBitsAt + (hasFifthBit ? 4 : 0);
    WordVec quants = widenUnsigned(block + kQuantsAt + first % 16) >> (first < 16 ? 0 : 4);
#if defined(__AVX512F__)
    if (kWeights == WeightFormat::q4_0) {
      // The instruction looks at four bits of each lane, and at nothing above them.
      const Vec values = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};
      return (Vec)_mm512_permutexvar_ps((__m512i)quants, (__m512)values);
    }
#endif
    quants &= 15;
    if (hasFifthBit) {
      const WordVec bits = WordVec{} + loadAs<uint32_t>(block + kBitsAt);
      quants |= ((bits >> (laneNumbers() + (uint32_t)first)) & 1) << 4;
    }
    const int offset = hasMinimum(kWeights) ? 0 : hasFifthBit ? 16 : 8;
    return toFloat((IntVec)quants - offset);
  }
}

/**
 * The eight scales of a block of `q4_k` or `q5_k`, and after them its eight minima. They have six bits: those of the last
 * four runs keep their upper two on top of those of the first four.
 */
STEMMA_INLINE void sixBits(const uint8_t* block, uint8_t (&to)[16]) {
  const uint32_t scales = loadAs<uint32_t>(block + 4), minima = loadAs<uint32_t>(block + 8);
  const uint32_t last = loadAs<uint32_t>(block + 12);
  const uint32_t words[4] = {
      scales & 0x3f3f3f3f,
      (last & 0x0f0f0f0f) | ((scales >> 6 & 0x03030303) << 4),
      minima & 0x3f3f3f3f,
      (last >> 4 & 0x0f0f0f0f) | ((minima >> 6 & 0x03030303) << 4),
  };
  memcpy(to, words, sizeof words);
}

/** kLanes numbers from place `at` of a block of 256 on. */
template <WeightFormat kWeights>
STEMMA_INLINE Vec loadOfLongBlock(const uint8_t* block, int at) {
  const int run = at / 32, place = at % 32;
  if constexpr (kWeights == WeightFormat::q6_k) {
    const int half = run / 4, quarter = run % 4;
    const WordVec low = widenUnsigned(block + half * 64 + quarter % 2 * 32 + place) >> (quarter < 2 ? 0 : 4);
    const WordVec high = widenUnsigned(block + 128 + half * 32 + place) >> (2 * quarter);
    const Vec scale = scaleAt(block + 208) * (float)((const int8_t*)block)[192 + at / 16];
    return scale * toFloat((IntVec)((low & 15) | ((high & 3) << 4)) - 32);
  } else {
    constexpr int kQuantsAt = kWeights == WeightFormat::q4_k ? 16 : 48;
    WordVec quants = (widenUnsigned(block + kQuantsAt + run / 2 * 32 + place) >> (run % 2 * 4)) & 15;
    if (kWeights == WeightFormat::q5_k) quants |= ((widenUnsigned(block + 16 + place) >> run) & 1) << 4;
    uint8_t factors[16];
    sixBits(block, factors);
    const Vec minimum = scaleAt(block + 2) * (float)factors[8 + run];
    return scaleAt(block) * (float)factors[run] * toFloat((IntVec)quants) - minimum;
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
  } else if constexpr (blockLength(kWeights) == 1) {
    const uint16_t* from = (const uint16_t*)weights + at;
    HalfWords halves = {};
    if (count == kLanes) halves = loadAs<HalfWords>(from);
    else for (int64_t i = 0; i < count; i++) halves[i] = from[i];
    if constexpr (kWeights == WeightFormat::float16) return widenHalves(halves);
    else return floatOf((IntVec)(__builtin_convertvector(halves, WordVec) << 16));
  } else {
    (void)count;
    const uint8_t* block = (const uint8_t*)weights + bytesOf(kWeights, at);
    if constexpr (blockLength(kWeights) == 256) {
      return loadOfLongBlock<kWeights>(block, (int)((uint64_t)at % 256));
    } else {
      const Vec scaled = scaleAt(block) * quantsAt<kWeights>(block, (int)((uint64_t)at % kBlock / kLanes));
      return hasMinimum(kWeights) ? scaled + scaleAt(block + 2) : scaled;
    }
  }
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
    case WeightFormat::float16: return body(Weights<WeightFormat::float16>{});
    case WeightFormat::q8_0: return body(Weights<WeightFormat::q8_0>{});
    case WeightFormat::q4_0: return body(Weights<WeightFormat::q4_0>{});
    case WeightFormat::q4_1: return body(Weights<WeightFormat::q4_1>{});
    case WeightFormat::q5_0: return body(Weights<WeightFormat::q5_0>{});
    case WeightFormat::q5_1: return body(Weights<WeightFormat::q5_1>{});
    case WeightFormat::q4_k: return body(Weights<WeightFormat::q4_k>{});
    case WeightFormat::q5_k: return body(Weights<WeightFormat::q5_k>{});
    case WeightFormat::q6_k: return body(Weights<WeightFormat::q6_k>{});
  }
}

/** The same for a format of blocks. */
template <class Body>
STEMMA_INLINE void forBlocks(WeightFormat format, Body&& body) {
  forFormat(format, [&](auto weights) STEMMA_EXPANDED {
    if constexpr (blockLength(weights.format) > 1) body(weights);
  });
}

}  // namespace stemma::STEMMA_ISA
