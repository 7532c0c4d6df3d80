#pragma once

#include "kernels/vector.h"

namespace stemma::STEMMA_ISA {

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define STEMMA_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#endif
#endif
#if !defined(STEMMA_SHUFFLE)
#define STEMMA_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, IntVec{__VA_ARGS__})
#endif

/** a₀ b₀ a₁ b₁ … of the first halves. */
STEMMA_INLINE Vec interleaveLow(Vec a, Vec b) {
#if STEMMA_VECTOR_BYTES == 64
  return STEMMA_SHUFFLE(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
#elif STEMMA_VECTOR_BYTES == 32
  return STEMMA_SHUFFLE(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
#else
  return STEMMA_SHUFFLE(a, b, 0, 4, 1, 5);
#endif
}

/** The same of the second halves. */
STEMMA_INLINE Vec interleaveHigh(Vec a, Vec b) {
#if STEMMA_VECTOR_BYTES == 64
  return STEMMA_SHUFFLE(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#elif STEMMA_VECTOR_BYTES == 32
  return STEMMA_SHUFFLE(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#else
  return STEMMA_SHUFFLE(a, b, 2, 6, 3, 7);
#endif
}

/** Transposes a square of kLanes × kLanes in registers: log₂ kLanes perfect shuffles of its rows. */
STEMMA_INLINE void transposeSquare(Vec (&rows)[kLanes]) {
#pragma GCC unroll 4
  for (int round = 1; round < kLanes; round *= 2) {
    Vec shuffled[kLanes];
#pragma GCC unroll 8
    for (int i = 0; i < kLanes / 2; i++) {
      shuffled[2 * i] = interleaveLow(rows[i], rows[i + kLanes / 2]);
      shuffled[2 * i + 1] = interleaveHigh(rows[i], rows[i + kLanes / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; i++) rows[i] = shuffled[i];
  }
}

/**
 * The square whose column j is the kLanes words of four bytes, of any alignment, from `stride` · j bytes after `rows` on.
 * Quarters of rows are put in their places as they are loaded, which leaves half of the shuffles.
 */
STEMMA_INLINE void loadTransposed(const char* rows, int64_t stride, Vec (&square)[kLanes]) {
#if defined(__AVX512F__)
#pragma GCC unroll 4
  for (int c = 0; c < 4; c++) {
    __m512 quarters[4];
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) {
      const char* from = rows + r * stride + 16 * c;
      __m512 all = _mm512_castps128_ps512(_mm_loadu_ps((const float*)from));
      all = _mm512_insertf32x4(all, _mm_loadu_ps((const float*)(from + 4 * stride)), 1);
      all = _mm512_insertf32x4(all, _mm_loadu_ps((const float*)(from + 8 * stride)), 2);
      quarters[r] = _mm512_insertf32x4(all, _mm_loadu_ps((const float*)(from + 12 * stride)), 3);
    }
    const __m512d low = _mm512_castps_pd(_mm512_unpacklo_ps(quarters[0], quarters[1]));
    const __m512d high = _mm512_castps_pd(_mm512_unpackhi_ps(quarters[0], quarters[1]));
    const __m512d nextLow = _mm512_castps_pd(_mm512_unpacklo_ps(quarters[2], quarters[3]));
    const __m512d nextHigh = _mm512_castps_pd(_mm512_unpackhi_ps(quarters[2], quarters[3]));
    square[4 * c] = (Vec)_mm512_unpacklo_pd(low, nextLow);
    square[4 * c + 1] = (Vec)_mm512_unpackhi_pd(low, nextLow);
    square[4 * c + 2] = (Vec)_mm512_unpacklo_pd(high, nextHigh);
    square[4 * c + 3] = (Vec)_mm512_unpackhi_pd(high, nextHigh);
  }
#else
#pragma GCC unroll 16
  for (int j = 0; j < kLanes; j++) memcpy(&square[j], rows + j * stride, sizeof square[j]);
  transposeSquare(square);
#endif
}

/** Lane i is the sum of all lanes of row i, added in the order of sumLanes. Overwrites the rows. */
STEMMA_INLINE Vec sumsOfRows(Vec (&rows)[kLanes]) {
  transposeSquare(rows);
#pragma GCC unroll 4
  for (int half = kLanes / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < half; i++) rows[i] += rows[i + half];
  }
  return rows[0];
}

}  // namespace stemma::STEMMA_ISA
