#pragma once

#include "kernels/random.h"
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
  for (int i = 0; i < kLanes; i++) {
    words[4 * i] = c0[i];
    words[4 * i + 1] = c1[i];
    words[4 * i + 2] = c2[i];
    words[4 * i + 3] = c3[i];
  }
}

/** Words of one draw by number, for callers that walk forwards: the block last made is kept. */
struct PhiloxReader {
  Draw draw;
  uint64_t start = ~(uint64_t)0;
  uint32_t words[kPhiloxWords];

  /** Word number `index`. */
  inline uint32_t word(uint64_t index) {
    uint64_t wanted = index / kPhiloxWords;
    if (wanted != start) {
      philoxWords(draw, wanted * kLanes, words);
      start = wanted;
    }
    return words[index % kPhiloxWords];
  }
};

}  // namespace stemma::STEMMA_ISA
