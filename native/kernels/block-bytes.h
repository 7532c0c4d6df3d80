#pragma once

#include "kernels/quantized-rows.h"

/**
 * The integers of blocks as registers of bytes without a sign (`q8_0` with), and their scales. A register holds two blocks
 * of 32, one, or half of one.
 */
namespace stemma::STEMMA_ISA {

/** Where the blocks of 32 of one register begin, and which half of the first it is where it holds less than one. */
struct ShortBlocks {
  const uint8_t* first;
  const uint8_t* second;
  int half;
};

/** A register of bytes: 32 from each address, or half of those from the first. */
STEMMA_INLINE ByteVec wholeRuns(const uint8_t* first, const uint8_t* second, int half) {
#if defined(__AVX512F__)
  const __m512i low = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i*)first));
  (void)half;
  return (ByteVec)_mm512_inserti64x4(low, _mm256_loadu_si256((const __m256i*)second), 1);
#else
  (void)second;
  return loadAs<ByteVec>(first + (STEMMA_VECTOR_BYTES == 16 ? 16 * half : 0));
#endif
}

/** The same of 16 bytes from each address, of which the low halves come first and then the high ones. */
STEMMA_INLINE ByteVec halfBytes(const uint8_t* first, const uint8_t* second, int half) {
#if defined(__AVX512F__)
  (void)half;
  const __m512i low = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i*)first));
  const __m512i both = _mm512_mask_broadcast_i32x4(low, 0xff00, _mm_loadu_si128((const __m128i*)second));
  const WordVec shifts = {0, 0, 0, 0, 4, 4, 4, 4, 0, 0, 0, 0, 4, 4, 4, 4};
  return (ByteVec)_mm512_srlv_epi32(both, (__m512i)shifts) & 15;
#elif defined(__AVX2__)
  (void)second, (void)half;
  const WordVec shifts = {0, 0, 0, 0, 4, 4, 4, 4};
  const __m256i both = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i*)first));
  return (ByteVec)_mm256_srlv_epi32(both, (__m256i)shifts) & 15;
#else
  (void)second;
  return (ByteVec)(loadAs<WordVec>(first) >> (uint32_t)(4 * half)) & 15;
#endif
}

/** 16 in every byte whose bit is set, of 32 bits from each address. */
STEMMA_INLINE ByteVec fifthBits(const uint8_t* first, const uint8_t* second, int half) {
#if defined(__AVX512BW__)
  (void)half;
  const uint64_t bits = loadAs<uint32_t>(first) | (uint64_t)loadAs<uint32_t>(second) << 32;
  return (ByteVec)_mm512_maskz_set1_epi8((__mmask64)bits, 16);
#elif defined(__AVX2__)
  (void)second, (void)half;
  // Every byte gets the byte of its bit; with all other bits set it is all ones where that one is.
  const __m256i byteOf = _mm256_set_epi64x(0x0303030303030303, 0x0202020202020202, 0x0101010101010101, 0);
  const __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32(loadAs<int32_t>(first)), byteOf);
  const __m256i others = _mm256_set1_epi64x(0x7fbfdfeff7fbfdfe);
  const __m256i isSet = _mm256_cmpeq_epi8(_mm256_or_si256(bytes, others), _mm256_set1_epi64x(-1));
  return (ByteVec)isSet & 16;
#else
  (void)second;
  const uint32_t bits = loadAs<uint32_t>(first) >> (16 * half);
  ByteVec fifth;
  for (int i = 0; i < kByteLanes; i++) fifth[i] = (bits >> i & 1) << 4;
  return fifth;
#endif
}

/** The integers of a register. */
template <WeightFormat kWeights>
STEMMA_INLINE ByteVec quantBytes(const ShortBlocks& at) {
  if constexpr (kWeights == WeightFormat::q8_0) {
    return wholeRuns(at.first + 2, at.second + 2, at.half);
  } else {
    constexpr bool hasFifthBit = kWeights == WeightFormat::q5_0 || kWeights == WeightFormat::q5_1;
    constexpr int kBitsAt = hasMinimum(kWeights) ? 4 : 2, kQuantsAt = kBitsAt + (hasFifthBit ? 4 : 0);
    const ByteVec low = halfBytes(at.first + kQuantsAt, at.second + kQuantsAt, at.half);
    if constexpr (hasFifthBit) return low | fifthBits(at.first + kBitsAt, at.second + kBitsAt, at.half);
    else return low;
  }
}

/** Where the blocks of kLanes columns begin. */
struct ColumnBlocks {
  const uint8_t* first[kLanes];

  const uint8_t* at(int column) const { return first[column]; }
};

/** The same of columns that lie one after the other. */
struct ColumnRun {
  const uint8_t* first;
  int64_t stride;

  const uint8_t* at(int column) const { return first + column * stride; }
};

/** The float16 at a place of each column's block, a lane for each. */
template <class Columns>
STEMMA_INLINE Vec halvesOf(const Columns& columns, int64_t place) {
  auto half = [&](int column) STEMMA_EXPANDED { return loadAs<int16_t>(columns.at(column) + place); };
#if defined(__AVX512F__)
  return (Vec)_mm512_cvtph_ps(_mm256_setr_epi16(half(0), half(1), half(2), half(3), half(4), half(5), half(6), half(7),
                                                half(8), half(9), half(10), half(11), half(12), half(13), half(14), half(15)));
#elif defined(__F16C__)
  return (Vec)_mm256_cvtph_ps(_mm_setr_epi16(half(0), half(1), half(2), half(3), half(4), half(5), half(6), half(7)));
#else
  HalfWords halves;
  for (int i = 0; i < kLanes; i++) halves[i] = (uint16_t)half(i);
  return widenHalves(halves);
#endif
}


/** Blocks of 32 whose scales are gathered at once. */
constexpr int kStripBlocks = 32;

/** The float16 at one place of some blocks of each column, those of a block side by side. */
class HalvesStrip {
 public:
  /** Copies `count` blocks' from `block` on; asks for what comes `ahead` bytes after them. */
  template <WeightFormat kWeights>
  void fill(const ColumnBlocks& columns, int64_t block, int64_t count, int64_t place, int64_t ahead) {
    for (int i = 0; i < kLanes; i++) {
      const uint8_t* from = columns.at(i) + block * blockBytes(kWeights);
      for (int64_t b = 0; b < count; b++, from += blockBytes(kWeights)) {
        __builtin_prefetch(from + ahead);
        halves_[b * kLanes + i] = loadAs<uint16_t>(from + place);
      }
    }
  }

  /** Those of block `index` of the strip, a lane for each column. */
  Vec at(int64_t index) const { return widenHalves(loadAs<HalfWords>(halves_ + index * kLanes)); }

 private:
  alignas(64) uint16_t halves_[kStripBlocks * kLanes];
};

/** What follows after some blocks of kLanes columns: the next blocks of these, or those of the next columns. */
template <WeightFormat kWeights>
STEMMA_INLINE int64_t stripsAhead(int64_t k) {
  return k > kStripBlocks * kBlock ? kStripBlocks * blockBytes(kWeights) : kLanes * bytesOf(kWeights, k);
}

/** The 32 bytes of a run in every half of a register, or half of them. */
STEMMA_INLINE ByteVec repeatedRun(const uint8_t* from, int v) {
#if defined(__AVX512F__)
  (void)v;
  return (ByteVec)_mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i*)from));
#else
  return loadAs<ByteVec>(from + (STEMMA_VECTOR_BYTES == 16 ? v % 2 * 16 : 0));
#endif
}

/** x >> (first + step · run), of four bytes at a time: what comes from a neighbour is above the bits that are wanted. */
STEMMA_INLINE ByteVec shiftedRuns(ByteVec x, int first, int step) {
  WordVec shifts;
  for (int i = 0; i < kLanes; i++) shifts[i] = first + (i < 8 ? 0 : step);
  return (ByteVec)((WordVec)x >> shifts);
}

/** Register `v` of the integers of a block of 256. */
template <WeightFormat kWeights>
STEMMA_INLINE ByteVec quantBytes(const uint8_t* block, int v) {
  const int run = v * kByteLanes / 32;
  if constexpr (kWeights == WeightFormat::q6_k) {
    const int half = run / 4, quarter = run % 4;
    const uint8_t* from = block + half * 64 + quarter % 2 * 32 + (kByteLanes == 16 ? v % 2 * 16 : 0);
    const ByteVec low = (ByteVec)(loadAs<WordVec>(from) >> (quarter < 2 ? 0u : 4u)) & 15;
    const ByteVec high = shiftedRuns(repeatedRun(block + 128 + half * 32, v), 2 * quarter, 2) & 3;
    return low | (ByteVec)((WordVec)high << 4);
  } else {
    constexpr int kQuantsAt = kWeights == WeightFormat::q4_k ? 16 : 48;
    const ByteVec low = shiftedRuns(repeatedRun(block + kQuantsAt + run / 2 * 32, v), run % 2 * 4, 4) & 15;
    if constexpr (kWeights == WeightFormat::q4_k) return low;
    const ByteVec high = shiftedRuns(repeatedRun(block + 16, v), run, 1) & 1;
    return low | (ByteVec)((WordVec)high << 4);
  }
}

/** Whole scales of a block of 256: one for each run of `kRun` numbers, as bytes and widened. */
struct LongScales {
  uint8_t bytes[16];
  IntVec wide[16 / kLanes];
};

template <WeightFormat kWeights>
STEMMA_INLINE LongScales longScales(const uint8_t* block) {
  LongScales scales;
  if constexpr (kWeights == WeightFormat::q6_k) memcpy(scales.bytes, block + 192, 16);
  else sixBits(block, scales.bytes);
  for (int i = 0; i < 16 / kLanes; i++) {
    scales.wide[i] = kWeights == WeightFormat::q6_k ? widenSigned(scales.bytes + i * kLanes)
                                                    : (IntVec)widenUnsigned(scales.bytes + i * kLanes);
  }
  return scales;
}

/** The scales of register `v`, in the lanes of their sums. */
template <WeightFormat kWeights>
STEMMA_INLINE IntVec scalesOfRegister(const LongScales& scales, int v) {
  constexpr int kRun = kWeights == WeightFormat::q6_k ? 16 : 32;
  const int first = v * kByteLanes / kRun;
#if defined(__AVX512F__)
  IntVec lanes;
  for (int i = 0; i < kLanes; i++) lanes[i] = first + 4 * i / kRun;
  return (IntVec)_mm512_permutexvar_epi32((__m512i)lanes, (__m512i)scales.wide[0]);
#elif defined(__AVX2__)
  IntVec lanes;
  for (int i = 0; i < kLanes; i++) lanes[i] = first % kLanes + 4 * i / kRun;
  return (IntVec)_mm256_permutevar8x32_epi32((__m256i)scales.wide[first / kLanes], (__m256i)lanes);
#else
  const uint8_t byte = scales.bytes[first];
  return broadcast(kWeights == WeightFormat::q6_k ? (int32_t)(int8_t)byte : (int32_t)byte);
#endif
}

}  // namespace stemma::STEMMA_ISA
