#include "kernels/integer-panels.h"

#include "kernels/block-bytes.h"
#include "kernels/integer-lists.h"
#include "kernels/transpose.h"

namespace stemma::STEMMA_ISA {

namespace {

/** sums[i] + two products of 16 bits. */
STEMMA_INLINE IntVec dotPairs(IntVec sums, IntVec x, IntVec y) {
#if defined(__AVX512VNNI__)
  return (IntVec)_mm512_dpwssd_epi32((__m512i)sums, (__m512i)x, (__m512i)y);
#elif defined(__AVX512BW__)
  return sums + (IntVec)_mm512_madd_epi16((__m512i)x, (__m512i)y);
#elif defined(__AVX2__)
  return sums + (IntVec)_mm256_madd_epi16((__m256i)x, (__m256i)y);
#elif defined(__SSE2__)
  return sums + (IntVec)_mm_madd_epi16((__m128i)x, (__m128i)y);
#else
  return sums + (x << 16 >> 16) * (y << 16 >> 16) + (x >> 16) * (y >> 16);
#endif
}

/** Writes kLanes rows of as many steps as lanes: step after step of the panel, of one of its vectors. */
STEMMA_INLINE void storeSteps(IntVec (&rows)[kLanes], int64_t step, int vector, const Panel& panel) {
  Vec square[kLanes];
  for (int i = 0; i < kLanes; i++) square[i] = floatOf(rows[i]);
  transposeSquare(square);
  float* const to = (float*)panel.quants + step * kPanelColumns + vector * kLanes;
  for (int i = 0; i < kLanes; i++) store(to + i * kPanelColumns, square[i]);
}

/** Half `half` of some bytes as 16 bits. */
template <WeightFormat kWeights>
STEMMA_INLINE IntVec widenedHalf(ByteVec bytes, int half) {
#if defined(__AVX512F__)
  const __m256i some = half == 0 ? _mm512_castsi512_si256((__m512i)bytes) : _mm512_extracti64x4_epi64((__m512i)bytes, 1);
  return (IntVec)_mm512_cvtepi8_epi16(some);
#elif defined(__AVX2__)
  const __m128i some = half == 0 ? _mm256_castsi256_si128((__m256i)bytes) : _mm256_extracti128_si256((__m256i)bytes, 1);
  return (IntVec)_mm256_cvtepi8_epi16(some);
#elif defined(__SSE2__)
  const __m128i none = _mm_setzero_si128(), x = (__m128i)bytes;
  return (IntVec)_mm_srai_epi16(half == 0 ? _mm_unpacklo_epi8(none, x) : _mm_unpackhi_epi8(none, x), 8);
#else
  IntVec wide;
  const SignedByteVec x = (SignedByteVec)bytes;
  for (int i = 0; i < kLanes; i++) {
    const int first = half * kByteLanes / 2 + 2 * i;
    wide[i] = (x[first] & 0xffff) | (int32_t)((uint32_t)x[first + 1] << 16);
  }
  return wide;
#endif
}

/** Integers of kLanes columns, a register of each, into the panel from number `at` along k on. */
template <WeightFormat kWeights>
STEMMA_INLINE void storeQuants(const ByteVec (&quants)[kLanes], int64_t at, int vector, const Panel& panel) {
  IntVec rows[kLanes];
  if constexpr (multipliesPairs(kWeights)) {
    for (int half = 0; half < 2; half++) {
      for (int i = 0; i < kLanes; i++) rows[i] = widenedHalf<kWeights>(quants[i], half);
      storeSteps(rows, (at + half * kByteLanes / 2) / 2, vector, panel);
    }
  } else {
    // Bytes of q8_0 have a sign, those of other formats none; adding an offset of 128 to a byte turns its upper bit over.
    constexpr bool isSigned = kWeights == WeightFormat::q8_0;
    constexpr uint8_t offset = quantOffset(kWeights);
    const uint8_t subtracted = panel.hasSigns == isSigned ? 0 : offset;
    for (int i = 0; i < kLanes; i++) rows[i] = (IntVec)(quants[i] - subtracted);
    storeSteps(rows, at / 4, vector, panel);
  }
}

/** A register of integers of each column, from number `at` on; the last block stands for one after it. */
template <WeightFormat kWeights>
STEMMA_INLINE void packQuants(const ColumnBlocks& columns, int64_t at, int64_t last, int vector, const Panel& panel) {
  constexpr int64_t kBytes = blockBytes(kWeights);
  const int64_t block = at / kBlock, next = block < last ? block + 1 : last;
  ByteVec quants[kLanes];
  for (int i = 0; i < kLanes; i++) {
    const uint8_t* const from = columns.at(i);
    quants[i] = quantBytes<kWeights>({from + block * kBytes, from + next * kBytes, (int)(at % kBlock / 16)});
  }
  storeQuants<kWeights>(quants, at, vector, panel);
}

template <WeightFormat kWeights>
STEMMA_INLINE void packShortBlocks(const ColumnBlocks& columns, int64_t k, int vector, const Panel& panel) {
  const int64_t last = k / kBlock - 1;
  for (int64_t block = 0; block <= last; block += kStripBlocks) {
    const int64_t left = last + 1 - block, count = left < kStripBlocks ? left : kStripBlocks;
    HalvesStrip scales, minima;
    scales.fill<kWeights>(columns, block, count, 0, stripsAhead<kWeights>(k));
    if (hasMinimum(kWeights)) minima.fill<kWeights>(columns, block, count, 2, stripsAhead<kWeights>(k));
    for (int64_t i = 0; i < count; i++) {
      const int64_t to = (block + i) * kPanelColumns + vector * kLanes;
      store(panel.scales + to, scales.at(i));
      if (hasMinimum(kWeights)) store(panel.minima + to, minima.at(i));
    }
    const int64_t end = (block + count) * kBlock;
    for (int64_t at = block * kBlock; at < end; at += kByteLanes) packQuants<kWeights>(columns, at, last, vector, panel);
  }
}

/** Scales and minima of the runs of one column's block of 256. */
template <WeightFormat kWeights>
STEMMA_INLINE void packRuns(const uint8_t* from, int64_t block, int64_t column, const Panel& panel) {
  constexpr int kRuns = (int)kLongBlock / runLength(kWeights);
  const LongScales scales = longScales<kWeights>(from);
  int32_t* const to = panel.runScales + block * kRuns * kPanelColumns + column;
  for (int run = 0; run < kRuns; run++) {
    to[run * kPanelColumns] = kWeights == WeightFormat::q6_k ? (int32_t)(int8_t)scales.bytes[run] : (int32_t)scales.bytes[run];
  }
  if (!hasMinimum(kWeights)) return;
  for (int i = 0; i < 4; i++) {
    panel.runMinima[(block * 4 + i) * kPanelColumns + column] = scales.bytes[8 + 2 * i] | scales.bytes[9 + 2 * i] << 16;
  }
}

template <WeightFormat kWeights>
STEMMA_INLINE void packLongBlocks(const ColumnBlocks& columns, int64_t k, int vector, const Panel& panel) {
  for (int64_t block = 0; block < k / kLongBlock; block++) {
    const int64_t at = block * blockBytes(kWeights), to = block * kPanelColumns + vector * kLanes;
#pragma GCC unroll 16
    for (int v = 0; v < kLongBlock / kByteLanes; v++) {
      ByteVec quants[kLanes];
      for (int i = 0; i < kLanes; i++) quants[i] = quantBytes<kWeights>(columns.at(i) + at, v);
      storeQuants<kWeights>(quants, block * kLongBlock + v * kByteLanes, vector, panel);
    }
    store(panel.scales + to, halvesOf(columns, at + (kWeights == WeightFormat::q6_k ? 208 : 0)));
    if (hasMinimum(kWeights)) store(panel.minima + to, halvesOf(columns, at + 2));
    for (int i = 0; i < kLanes; i++) packRuns<kWeights>(columns.at(i) + at, block, vector * kLanes + i, panel);
  }
}

template <WeightFormat kWeights>
void pack(const uint8_t* weights, int64_t k, int64_t count, const Panel& panel) {
  for (int vector = 0; vector < kPanelVectors; vector++) {
    ColumnBlocks columns;
    for (int i = 0; i < kLanes; i++) {
      const int64_t column = vector * kLanes + i;
      columns.first[i] = weights + bytesOf(kWeights, k) * (column < count ? column : count - 1);
    }
    if constexpr (blockLength(kWeights) == kLongBlock) packLongBlocks<kWeights>(columns, k, vector, panel);
    else packShortBlocks<kWeights>(columns, k, vector, panel);
  }
}

template <int kRows>
using Dots = IntVec[kRows][kPanelVectors];

#if defined(__AVX2__) && !defined(__AVX512VNNI__)

/** Steps whose products of bytes, by pairs, are summed in 16 bits without leaving their range. */
constexpr int stepsIn16Bits(WeightFormat format) {
  switch (format) {
    case WeightFormat::q6_k: return 2;
    case WeightFormat::q5_0:
    case WeightFormat::q5_1:
    case WeightFormat::q5_k: return 4;
    default: return 8;
  }
}

typedef int16_t ShortVec __attribute__((vector_size(STEMMA_VECTOR_BYTES)));

STEMMA_INLINE ShortVec pairsOfBytes(IntVec x, IntVec y) {
#if defined(__AVX512BW__)
  return (ShortVec)_mm512_maddubs_epi16((__m512i)x, (__m512i)y);
#else
  return (ShortVec)_mm256_maddubs_epi16((__m256i)x, (__m256i)y);
#endif
}

/** Adds the products of kSteps steps of four bytes. */
template <WeightFormat kWeights, int kRows, int kSteps>
STEMMA_INLINE void addBytes(const uint8_t* panel, const RowBases<kRows>& rows, int64_t step, Dots<kRows>& dots) {
  constexpr int kAtOnce = stepsIn16Bits(kWeights) < kSteps ? stepsIn16Bits(kWeights) : kSteps;
  const IntVec ones = broadcast(0x00010001);
#pragma GCC unroll 8
  for (int first = 0; first < kSteps; first += kAtOnce) {
    ShortVec pairs[kRows][kPanelVectors];
#pragma GCC unroll 8
    for (int s = 0; s < kAtOnce; s++) {
      const int32_t* const from = (const int32_t*)panel + (step + first + s) * kPanelColumns;
      const IntVec weights[kPanelVectors] = {load(from), load(from + kLanes)};
#pragma GCC unroll 8
      for (int i = 0; i < kRows; i++) {
        const IntVec row = broadcast(rows.template number<int32_t>(i, step + first + s));
#pragma GCC unroll 2
        for (int v = 0; v < kPanelVectors; v++) {
          const ShortVec some = pairsOfBytes(weights[v], row);
          pairs[i][v] = s == 0 ? some : pairs[i][v] + some;
        }
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < kRows; i++) {
#pragma GCC unroll 2
      for (int v = 0; v < kPanelVectors; v++) dots[i][v] = dotPairs(dots[i][v], (IntVec)pairs[i][v], ones);
    }
  }
}

#endif

/** Adds the products of a run of kLength numbers along k, which begins at number `at`. */
template <WeightFormat kWeights, int kRows, int kLength>
STEMMA_INLINE void addRun(const uint8_t* panel, const RowBases<kRows>& rows, int64_t at, Dots<kRows>& dots) {
  constexpr int kSteps = kLength / stepWidth(kWeights);
  const int64_t step = at / stepWidth(kWeights);
#if defined(__AVX2__) && !defined(__AVX512VNNI__)
  if constexpr (!multipliesPairs(kWeights)) return addBytes<kWeights, kRows, kSteps>(panel, rows, step, dots);
#endif
#pragma GCC unroll 16
  for (int s = 0; s < kSteps; s++) {
    const int32_t* const from = (const int32_t*)panel + (step + s) * kPanelColumns;
    const IntVec weights[kPanelVectors] = {load(from), load(from + kLanes)};
#pragma GCC unroll 8
    for (int i = 0; i < kRows; i++) {
      const IntVec row = broadcast(rows.template number<int32_t>(i, step + s));
#pragma GCC unroll 2
      for (int v = 0; v < kPanelVectors; v++) {
        if constexpr (multipliesPairs(kWeights)) dots[i][v] = dotPairs(dots[i][v], weights[v], row);
        else dots[i][v] = dotBytes(dots[i][v], (ByteVec)weights[v], (SignedByteVec)row);
      }
    }
  }
}

/** What sums of products begin with. */
template <WeightFormat kWeights, int kRows>
STEMMA_INLINE void begin(const RowBases<kRows>& starts, int64_t at, Dots<kRows>& dots) {
  constexpr bool hasStart = quantOffset(kWeights) != 0;
#pragma GCC unroll 8
  for (int i = 0; i < kRows; i++) {
    const IntVec start = hasStart ? broadcast(starts.template number<int32_t>(i, at)) : IntVec{};
    for (int v = 0; v < kPanelVectors; v++) dots[i][v] = start;
  }
}

template <WeightFormat kWeights, int kRows>
STEMMA_INLINE void addShortBlock(const RowLists<kWeights, kRows>& rows, int64_t block, const Panel& panel, float* sums) {
  Dots<kRows> dots;
  begin<kWeights, kRows>(rows.starts, block, dots);
  addRun<kWeights, kRows, (int)kBlock>(panel.quants, rows.quants, block * kBlock, dots);
#pragma GCC unroll 2
  for (int v = 0; v < kPanelVectors; v++) {
    const int64_t at = block * kPanelColumns + v * kLanes;
    const Vec scales = load(panel.scales + at), minima = hasMinimum(kWeights) ? load(panel.minima + at) : Vec{};
#pragma GCC unroll 8
    for (int i = 0; i < kRows; i++) {
      float* const to = sums + i * kPanelColumns + v * kLanes;
      Vec sum = fma(toFloat(dots[i][v]), scales * broadcast(rows.scales.template number<float>(i, block)), load(to));
      if (hasMinimum(kWeights)) sum = fma(minima, broadcast(rows.sums.template number<float>(i, block)), sum);
      store(to, sum);
    }
  }
}

template <WeightFormat kWeights, int kRows>
STEMMA_INLINE void addLongBlock(const RowLists<kWeights, kRows>& rows, int64_t block, const Panel& panel, float* sums) {
  constexpr int kRun = runLength(kWeights), kRuns = (int)kLongBlock / kRun;
  Dots<kRows> totals = {};
  for (int run = 0; run < kRuns; run++) {
    Dots<kRows> dots;
    begin<kWeights, kRows>(rows.starts, block * kRuns + run, dots);
    addRun<kWeights, kRows, kRun>(panel.quants, rows.quants, block * kLongBlock + run * kRun, dots);
#pragma GCC unroll 2
    for (int v = 0; v < kPanelVectors; v++) {
      const IntVec scale = load(panel.runScales + (block * kRuns + run) * kPanelColumns + v * kLanes);
#pragma GCC unroll 8
      for (int i = 0; i < kRows; i++) totals[i][v] += dots[i][v] * scale;
    }
  }
#pragma GCC unroll 2
  for (int v = 0; v < kPanelVectors; v++) {
    const int64_t at = block * kPanelColumns + v * kLanes;
    const Vec whole = load(panel.scales + at), least = hasMinimum(kWeights) ? load(panel.minima + at) : Vec{};
#pragma GCC unroll 8
    for (int i = 0; i < kRows; i++) {
      float* const to = sums + i * kPanelColumns + v * kLanes;
      const Vec scale = broadcast(rows.scales.template number<float>(i, block));
      Vec sum = fma(toFloat(totals[i][v]), whole * scale, load(to));
      if constexpr (hasMinimum(kWeights)) {
        IntVec minima = {};
        for (int j = 0; j < 4; j++) {
          const IntVec pairs = load(panel.runMinima + (block * 4 + j) * kPanelColumns + v * kLanes);
          minima = dotPairs(minima, pairs, broadcast(rows.pairs.template number<int32_t>(i, block * 4 + j)));
        }
        sum = fma(toFloat(minima), -(least * scale), sum);
      }
      store(to, sum);
    }
  }
}

template <WeightFormat kWeights, int kRows>
void multiply(const PanelRows& rows, const Panel& panel, float* sums) {
  const RowLists<kWeights, kRows> lists(rows);
  memset(sums, 0, kRows * kPanelColumns * sizeof(float));
  for (int64_t block = 0; block < rows.k / blockLength(kWeights); block++) {
    if constexpr (blockLength(kWeights) == kLongBlock) addLongBlock<kWeights, kRows>(lists, block, panel, sums);
    else addShortBlock<kWeights, kRows>(lists, block, panel, sums);
  }
}

}  // namespace

void packPanel(WeightFormat format, const uint8_t* weights, int64_t k, int64_t count, const Panel& panel) {
  forBlocks(format, [&](auto of) { pack<of.format>(weights, k, count, panel); });
}

void panelProduct(WeightFormat format, const PanelRows& rows, int64_t count, const Panel& panel, float* sums) {
  forBlocks(format, [&](auto of) {
    if (count * 2 > kPanelRows) multiply<of.format, kPanelRows>(rows, panel, sums);
    else multiply<of.format, kPanelRows / 2>(rows, panel, sums);
  });
}

}  // namespace stemma::STEMMA_ISA
