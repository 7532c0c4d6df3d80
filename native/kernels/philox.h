#pragma once

#include "kernels/random.h"
#include "kernels/transpose.h"
#include "kernels/vector.h"

namespace stemma::STEMMA_ISA {

/** Upper and lower halves of the 64-bit products of `x` with one word. */
STEMMA_INLINE void multiplyWide(WordVec x, uint32_t by, WordVec& high, WordVec& low) {
  low = x * by;
#if defined(__AVX512F__)
  __m512i factor = _mm512_set1_epi64(by);
  __m512i even = _mm512_srli_epi64(_mm512_mul_epu32((__m512i)x, factor), 32);
  __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64((__m512i)x, 32), factor);
  high = (WordVec)_mm512_mask_blend_epi32(0xaaaa, even, odd);
#elif defined(__AVX2__)
  __m256i factor = _mm256_set1_epi64x(by);
  __m256i even = _mm256_srli_epi64(_mm256_mul_epu32((__m256i)x, factor), 32);
  __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64((__m256i)x, 32), factor);
  high = (WordVec)_mm256_blend_epi32(even, odd, 0xaa);
#else
  for (int i = 0; i < kLanes; i++) high[i] = (uint32_t)(((uint64_t)x[i] * by) >> 32);
#endif
}

/** Words in the blocks one call makes. */
constexpr int kPhiloxWords = 4 * kLanes;

/**
 * Philox 4×32-10 (Salmon et al., 2011): words [4·firstBlock, 4·firstBlock + kPhiloxWords) of a draw, in order. The
 * same numbers as in src/core/random.ts.
 */
STEMMA_INLINE void philoxWords(const Draw& draw, uint64_t firstBlock, uint32_t* words) {
  WordVec c0, c1, c2 = draw.stream - WordVec{}, c3 = WordVec{};
  for (int i = 0; i < kLanes; i++) {
    c0[i] = (uint32_t)(firstBlock + (uint64_t)i);
    c1[i] = (uint32_t)((firstBlock + (uint64_t)i) >> 32);
  }
  uint32_t k0 = draw.key[0], k1 = draw.key[1];
  for (int round = 0; round < 10; round++) {
    WordVec high0, low0, high1, low1;
    multiplyWide(c0, 0xd2511f53u, high0, low0);
    multiplyWide(c2, 0xcd9e8d57u, high1, low1);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  // Lane by lane the four words of a block: two rounds of interleaving.
  const Vec even[2] = {interleaveLow((Vec)c0, (Vec)c2), interleaveHigh((Vec)c0, (Vec)c2)};
  const Vec odd[2] = {interleaveLow((Vec)c1, (Vec)c3), interleaveHigh((Vec)c1, (Vec)c3)};
  for (int i = 0; i < 2; i++) {
    store((int32_t*)words + (2 * i) * kLanes, (IntVec)interleaveLow(even[i], odd[i]));
    store((int32_t*)words + (2 * i + 1) * kLanes, (IntVec)interleaveHigh(even[i], odd[i]));
  }
}

/**
 * kept[j] = what dropout multiplies element `first` + j of a draw by, for j < length: 0 where its word is below
 * rate · 2³², else 1 / (1 − rate).
 */
static inline void keptFactors(const Draw& draw, double rate, uint64_t first, int64_t length, float* kept) {
  // Words are whole numbers, so that being below rate · 2³² is being below the next whole number. 32 bits hold it.
  const double bound = rate * 4294967296.0;
  const WordVec limit = (uint32_t)((double)(uint64_t)bound < bound ? bound + 1 : bound) - WordVec{};
  const Vec keep = broadcast((float)(1.0 / (1.0 - rate)));
  uint32_t words[kPhiloxWords];
  for (int64_t j = -(int64_t)(first % kPhiloxWords); j < length; j += kPhiloxWords) {
    philoxWords(draw, (uint64_t)((int64_t)first + j) / 4, words);
    for (int part = 0; part < 4; part++) {
      const WordVec word = (WordVec)load((const int32_t*)words + part * kLanes);
      const Vec factor = select((IntVec)(word < limit), Vec{}, keep);
      const int64_t at = j + part * kLanes;
      if (at >= 0 && at + kLanes <= length) {
        store(kept + at, factor);
      } else {
        float lanes[kLanes];
        store(lanes, factor);
        for (int64_t i = 0; i < kLanes; i++)
          if (at + i >= 0 && at + i < length) kept[at + i] = lanes[i];
      }
    }
  }
}

}  // namespace stemma::STEMMA_ISA
