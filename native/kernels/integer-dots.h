#pragma once

#include "kernels/block-bytes.h"

/**
 * Products of a row or two with blocks of weights as they lie. Integers of a block are multiplied along the block, for
 * kLanes columns at a time, and their sums brought into a register with a lane for each column: so every block's sum is
 * whole before its scale multiplies it, and is added to those before it, as in `integer-panels.h`.
 */
namespace stemma::STEMMA_ISA {

/** Bytes of weights that are asked for ahead of use. */
constexpr int64_t kBytesAhead = 32 << 10;
/** Blocks of 32 that a register holds, if it holds a whole one. */
constexpr int kBlocksAtOnce = STEMMA_VECTOR_BYTES == 64 ? 2 : 1;
/** What stands in the place of a block after the last: zeros. */
alignas(64) constexpr uint8_t kNoBlock[64] = {};

/** In every 16 bytes the sum of four lanes of a, of b, of c and of d. */
STEMMA_INLINE IntVec sumsOfFour(IntVec a, IntVec b, IntVec c, IntVec d) {
#if defined(__AVX512F__)
  const __m512i x = _mm512_add_epi32(_mm512_unpacklo_epi32((__m512i)a, (__m512i)b), _mm512_unpackhi_epi32((__m512i)a, (__m512i)b));
  const __m512i y = _mm512_add_epi32(_mm512_unpacklo_epi32((__m512i)c, (__m512i)d), _mm512_unpackhi_epi32((__m512i)c, (__m512i)d));
  return (IntVec)_mm512_add_epi32(_mm512_unpacklo_epi64(x, y), _mm512_unpackhi_epi64(x, y));
#elif defined(__AVX2__)
  const __m256i x = _mm256_add_epi32(_mm256_unpacklo_epi32((__m256i)a, (__m256i)b), _mm256_unpackhi_epi32((__m256i)a, (__m256i)b));
  const __m256i y = _mm256_add_epi32(_mm256_unpacklo_epi32((__m256i)c, (__m256i)d), _mm256_unpackhi_epi32((__m256i)c, (__m256i)d));
  return (IntVec)_mm256_add_epi32(_mm256_unpacklo_epi64(x, y), _mm256_unpackhi_epi64(x, y));
#elif defined(__SSE2__)
  const __m128i x = _mm_add_epi32(_mm_unpacklo_epi32((__m128i)a, (__m128i)b), _mm_unpackhi_epi32((__m128i)a, (__m128i)b));
  const __m128i y = _mm_add_epi32(_mm_unpacklo_epi32((__m128i)c, (__m128i)d), _mm_unpackhi_epi32((__m128i)c, (__m128i)d));
  return (IntVec)_mm_add_epi32(_mm_unpacklo_epi64(x, y), _mm_unpackhi_epi64(x, y));
#elif defined(__aarch64__)
  const int32x4_t x = vpaddq_s32((int32x4_t)a, (int32x4_t)b), y = vpaddq_s32((int32x4_t)c, (int32x4_t)d);
  return (IntVec)vpaddq_s32(x, y);
#else
  return IntVec{a[0] + a[1] + a[2] + a[3], b[0] + b[1] + b[2] + b[3], c[0] + c[1] + c[2] + c[3], d[0] + d[1] + d[2] + d[3]};
#endif
}

/** Sums of kLanes registers by fours → their whole sums in the order of the registers: one vector for each block of 32. */
STEMMA_INLINE void sumsOfBlocks(const IntVec (&fours)[kLanes / 4], IntVec (&sums)[kBlocksAtOnce]) {
#if defined(__AVX512F__)
  auto halves = [](IntVec a, IntVec b) STEMMA_EXPANDED {
    return _mm512_add_epi32(_mm512_shuffle_i32x4((__m512i)a, (__m512i)b, 0x88), _mm512_shuffle_i32x4((__m512i)a, (__m512i)b, 0xdd));
  };
  const __m512i low = halves(fours[0], fours[1]), high = halves(fours[2], fours[3]);
  sums[0] = (IntVec)_mm512_shuffle_i32x4(low, high, 0x88);
  sums[1] = (IntVec)_mm512_shuffle_i32x4(low, high, 0xdd);
#elif defined(__AVX2__)
  sums[0] = (IntVec)_mm256_add_epi32(_mm256_permute2x128_si256((__m256i)fours[0], (__m256i)fours[1], 0x20),
                                     _mm256_permute2x128_si256((__m256i)fours[0], (__m256i)fours[1], 0x31));
#else
  sums[0] = fours[0];
#endif
}

/** The same where all lanes of a register belong together. */
STEMMA_INLINE IntVec sumsOfRegisters(const IntVec (&fours)[kLanes / 4]) {
  IntVec sums[kBlocksAtOnce];
  sumsOfBlocks(fours, sums);
  return kBlocksAtOnce == 2 ? sums[0] + sums[kBlocksAtOnce - 1] : sums[0];
}

/** The products of a block of 32, or of two, with one row. */
template <WeightFormat kWeights>
STEMMA_INLINE IntVec shortDot(ByteVec quants, const int8_t* row, IntVec sums) {
  const SignedByteVec bytes = loadBytes(row);
  return kWeights == WeightFormat::q8_0 ? dotSigned(sums, quants, bytes) : dotBytes(sums, quants, bytes);
}

/** Adds kBlocksAtOnce blocks of 32 to the sums of each row; without a second one, kNoBlock stands for it. */
template <WeightFormat kWeights, int kRows, bool kHasSecond>
STEMMA_INLINE void addShortBlocks(const ColumnRun& columns, int64_t block, const QuantizedRow* rows, Vec (&sums)[kRows]) {
  constexpr int64_t kBytes = blockBytes(kWeights);
  const int64_t at = block * kBytes;
  IntVec fours[kRows][kLanes / 4];
#pragma GCC unroll 4
  for (int group = 0; group < kLanes / 4; group++) {
    IntVec dots[kRows][4];
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
      const uint8_t* const first = columns.at(group * 4 + c) + at;
      const uint8_t* const second = kHasSecond ? first + kBytes : kNoBlock;
      __builtin_prefetch(first + kBytesAhead, 0, 2);
      const ByteVec quants = quantBytes<kWeights>({first, second, 0});
#pragma GCC unroll 2
      for (int i = 0; i < kRows; i++) {
        dots[i][c] = shortDot<kWeights>(quants, rows[i].quants + block * kBlock, IntVec{});
        if constexpr (kByteLanes < kBlock) {
          const ByteVec others = quantBytes<kWeights>({first, second, 1});
          dots[i][c] = shortDot<kWeights>(others, rows[i].quants + block * kBlock + kByteLanes, dots[i][c]);
        }
      }
    }
    for (int i = 0; i < kRows; i++) fours[i][group] = sumsOfFour(dots[i][0], dots[i][1], dots[i][2], dots[i][3]);
  }
  IntVec whole[kRows][kBlocksAtOnce];
  for (int i = 0; i < kRows; i++) sumsOfBlocks(fours[i], whole[i]);
#pragma GCC unroll 2
  for (int b = 0; b < (kHasSecond ? kBlocksAtOnce : 1); b++) {
    const Vec scales = halvesOf(columns, at + b * kBytes);
    const Vec minima = hasMinimum(kWeights) ? halvesOf(columns, at + b * kBytes + 2) : Vec{};
#pragma GCC unroll 2
    for (int i = 0; i < kRows; i++) {
      const IntVec dot = quantOffset(kWeights) == 0 ? whole[i][b] : whole[i][b] + broadcast(rows[i].starts[block + b]);
      sums[i] = fma(toFloat(dot), scales * broadcast(rows[i].scales[block + b]), sums[i]);
      if (hasMinimum(kWeights)) sums[i] = fma(minima, broadcast(rows[i].sums[block + b]), sums[i]);
    }
  }
}

/** The products of a block of 256 with one row, each times the scale of its run. */
template <WeightFormat kWeights>
STEMMA_INLINE IntVec longDot(const uint8_t* block, const LongScales& scales, const QuantizedRow& row, int64_t at) {
  IntVec dot = {};
#pragma GCC unroll 16
  for (int v = 0; v < kLongBlock / kByteLanes; v++) {
    const SignedByteVec bytes = loadBytes(row.quants + at * kLongBlock + v * kByteLanes);
    dot += dotBytes(IntVec{}, quantBytes<kWeights>(block, v), bytes) * scalesOfRegister<kWeights>(scales, v);
  }
  if constexpr (quantOffset(kWeights) != 0) {
    for (int j = 0; j < 16 / kLanes; j++) dot += scales.wide[j] * load(row.starts + at * 16 + j * kLanes);
  }
  return dot;
}

/** Adds a block of 256 to the sums of each row. */
template <WeightFormat kWeights, int kRows>
STEMMA_INLINE void addLongBlock(const ColumnRun& columns, int64_t block, const QuantizedRow* rows, Vec (&sums)[kRows]) {
  const int64_t at = block * blockBytes(kWeights);
  IntVec fours[kRows][kLanes / 4], minima[kRows][kLanes / 4];
  for (int group = 0; group < kLanes / 4; group++) {
    IntVec dots[kRows][4], below[kRows][4];
    for (int c = 0; c < 4; c++) {
      const uint8_t* const from = columns.at(group * 4 + c) + at;
      for (int line = 0; line < blockBytes(kWeights); line += 64) __builtin_prefetch(from + kBytesAhead + line, 0, 2);
      const LongScales scales = longScales<kWeights>(from);
      for (int i = 0; i < kRows; i++) {
        dots[i][c] = longDot<kWeights>(from, scales, rows[i], block);
        if (!hasMinimum(kWeights)) continue;
        below[i][c] = IntVec{};
        for (int j = 8 / kLanes; j < 16 / kLanes; j++) {
          below[i][c] += scales.wide[j] * load(rows[i].runSums + block * 16 + j * kLanes);
        }
      }
    }
    for (int i = 0; i < kRows; i++) {
      fours[i][group] = sumsOfFour(dots[i][0], dots[i][1], dots[i][2], dots[i][3]);
      if (hasMinimum(kWeights)) minima[i][group] = sumsOfFour(below[i][0], below[i][1], below[i][2], below[i][3]);
    }
  }
  const Vec whole = halvesOf(columns, at + (kWeights == WeightFormat::q6_k ? 208 : 0));
  const Vec least = hasMinimum(kWeights) ? halvesOf(columns, at + 2) : Vec{};
  for (int i = 0; i < kRows; i++) {
    const Vec scale = broadcast(rows[i].scales[block]);
    sums[i] = fma(toFloat(sumsOfRegisters(fours[i])), whole * scale, sums[i]);
    if (hasMinimum(kWeights)) sums[i] = fma(toFloat(sumsOfRegisters(minima[i])), -(least * scale), sums[i]);
  }
}

/** kLanes columns of a product of some rows with k numbers. */
template <WeightFormat kWeights, int kRows>
STEMMA_INLINE void addColumns(const ColumnRun& columns, int64_t k, const QuantizedRow* rows, Vec (&sums)[kRows]) {
  int64_t block = 0;
  if constexpr (blockLength(kWeights) == kLongBlock) {
    for (; block < k / kLongBlock; block++) addLongBlock<kWeights>(columns, block, rows, sums);
  } else {
    for (; block + kBlocksAtOnce <= k / kBlock; block += kBlocksAtOnce) {
      addShortBlocks<kWeights, kRows, kBlocksAtOnce == 2>(columns, block, rows, sums);
    }
    if (block < k / kBlock) addShortBlocks<kWeights, kRows, false>(columns, block, rows, sums);
  }
}

}  // namespace stemma::STEMMA_ISA
