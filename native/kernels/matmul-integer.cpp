#include "kernels/matmul-integer.h"

#include "kernels/block-bytes.h"
#include "kernels/epilogue.h"
#include "kernels/matmul-narrow.h"
#include "kernels/parallel.h"
#include "kernels/transpose.h"

namespace stemma::STEMMA_ISA {

namespace {

/** Rows that are multiplied with weights as they pass by; the next ones find these in the cache. */
constexpr int kRowsAtOnce = 4;
/** Bytes of weights that a task reads. */
constexpr int64_t kTaskBytes = 128 << 10;
/** Bytes of weights that are asked for ahead of use. */
constexpr int64_t kAhead = 2048;
/** What stands in the place of a block after the last: zeros. */
alignas(64) constexpr uint8_t kNoBlock[64] = {};

constexpr int64_t least(int64_t x, int64_t y) { return x < y ? x : y; }

/** Sums of a column: two for each row, which take turns and so hide the latency of adding. */
template <int kRows>
struct Sums {
  Vec even[kRows] = {}, odd[kRows] = {};
};

/** Adds the products of one register of weights, number `v` of its column. */
template <WeightFormat kWeights, int kRows>
STEMMA_INLINE void addRegister(const ShortBlocks& at, int64_t v, const QuantizedRow* rows, Vec (&sums)[kRows]) {
  const ByteVec quants = quantBytes<kWeights>(at);
  const Vec scales = halvesOf(at, 0);
#pragma GCC unroll 4
  for (int i = 0; i < kRows; i++) {
    const SignedByteVec row = loadBytes(rows[i].quants + v * kByteLanes);
    const IntVec start = quantOffset(kWeights) == 0 ? IntVec{} : load(rows[i].starts + v * kLanes);
    const IntVec dot = kWeights == WeightFormat::q8_0 ? dotSigned(start, quants, row) : dotBytes(start, quants, row);
    sums[i] = fma(toFloat(dot), scales * load(rows[i].scales + v * kLanes), sums[i]);
  }
  if constexpr (hasMinimum(kWeights)) {
    const Vec minima = halvesOf(at, 2);
#pragma GCC unroll 4
    for (int i = 0; i < kRows; i++) sums[i] = fma(minima, load(rows[i].sums + v * kLanes), sums[i]);
  }
}

/** A column of blocks of 32. */
template <WeightFormat kWeights, int kRows>
STEMMA_INLINE void addShortBlocks(const uint8_t* column, int64_t k, const QuantizedRow* rows, Sums<kRows>& sums) {
  constexpr int64_t kBytes = blockBytes(kWeights);
  int64_t v = 0, left = k;
  if constexpr (kByteLanes >= kBlock) {
    constexpr int64_t kPair = 2 * kByteLanes, kStep = kByteLanes / kBlock * kBytes;
    for (; left >= kPair; left -= kPair, v += 2, column += 2 * kStep) {
      __builtin_prefetch(column + kAhead);
      addRegister<kWeights>({column, column + kBytes, 0}, v, rows, sums.even);
      addRegister<kWeights>({column + kStep, column + kStep + kBytes, 0}, v + 1, rows, sums.odd);
    }
    for (; left > 0; left -= kByteLanes, v++, column += kStep) {
      addRegister<kWeights>({column, left > kBlock ? column + kBytes : kNoBlock, 0}, v, rows, sums.even);
    }
  } else {
    for (; left > 0; left -= kBlock, v += 2, column += kBytes) {
      __builtin_prefetch(column + kAhead);
      addRegister<kWeights>({column, column, 0}, v, rows, sums.even);
      addRegister<kWeights>({column, column, 1}, v + 1, rows, sums.odd);
    }
  }
}

/** A column of blocks of 256: the scales of runs multiply integers, that of the block their sum. */
template <WeightFormat kWeights, int kRows>
STEMMA_INLINE void addLongBlocks(const uint8_t* column, int64_t k, const QuantizedRow* rows, Sums<kRows>& sums) {
  constexpr int kRegisters = kLongBlock / kByteLanes;
  for (int64_t block = 0; block < k / kLongBlock; block++, column += blockBytes(kWeights)) {
    __builtin_prefetch(column + kAhead);
    __builtin_prefetch(column + kAhead + 64);
    const LongScales scales = longScales<kWeights>(column);
    IntVec dots[kRows] = {};
#pragma GCC unroll 4
    for (int v = 0; v < kRegisters; v++) {
      const ByteVec quants = quantBytes<kWeights>(column, v);
      const IntVec scale = scalesOfRegister<kWeights>(scales, v);
      const int64_t at = block * kRegisters + v;
#pragma GCC unroll 4
      for (int i = 0; i < kRows; i++) {
        const IntVec start = quantOffset(kWeights) == 0 ? IntVec{} : load(rows[i].starts + at * kLanes);
        dots[i] += dotBytes(start, quants, loadBytes(rows[i].quants + at * kByteLanes)) * scale;
      }
    }
    const Vec whole = scaleAt(column + (kWeights == WeightFormat::q6_k ? 208 : 0));
#pragma GCC unroll 4
    for (int i = 0; i < kRows; i++) {
      const Vec rowScale = broadcast(rows[i].scales[block]);
      sums.even[i] = fma(toFloat(dots[i]), whole * rowScale, sums.even[i]);
      if constexpr (hasMinimum(kWeights)) {
        IntVec minima = {};
        for (int j = 8 / kLanes; j < 16 / kLanes; j++) {
          minima += scales.wide[j] * load(rows[i].runSums + block * 16 + j * kLanes);
        }
        sums.odd[i] = fma(toFloat(minima), scaleAt(column + 2) * -rowScale, sums.odd[i]);
      }
    }
  }
}

/** What a task needs to know of its product. */
struct Work {
  const Matmul& p;
  const QuantizedRow* rows;
  int64_t firstRow;
};

/** Up to kLanes columns of some rows. */
template <WeightFormat kWeights, int kRows>
STEMMA_INLINE void fillSome(const Work& work, int64_t column, int64_t count) {
  const Matmul& p = work.p;
  const int64_t columnBytes = bytesOf(kWeights, p.k);
  Vec squares[kRows][kLanes] = {};
  for (int64_t j = 0; j < count; j++) {
    const uint8_t* from = (const uint8_t*)p.b + (column + j) * columnBytes;
    Sums<kRows> sums;
    if constexpr (blockLength(kWeights) == kLongBlock) addLongBlocks<kWeights>(from, p.k, work.rows, sums);
    else addShortBlocks<kWeights>(from, p.k, work.rows, sums);
    for (int i = 0; i < kRows; i++) squares[i][j] = sums.even[i] + sums.odd[i];
  }
  for (int i = 0; i < kRows; i++) {
    float totals[kLanes];
    store(totals, sumsOfRows(squares[i]));
    float* const out = p.out + (work.firstRow + i) * p.n + column;
    for (int64_t j = 0; j < count; j++) out[j] = p.accumulate ? out[j] + totals[j] : totals[j];
  }
}

template <WeightFormat kWeights, int kRows>
void fillColumns(const Work& work, int64_t begin, int64_t end) {
  for (int64_t j = begin; j < end; j += kLanes) fillSome<kWeights, kRows>(work, j, least(kLanes, end - j));
}

using Fill = void (*)(const Work& work, int64_t begin, int64_t end);

/** The functions for one row, two, three and four. */
using Fills = Fill[kRowsAtOnce];

template <WeightFormat kWeights>
constexpr Fills kFills = {&fillColumns<kWeights, 1>, &fillColumns<kWeights, 2>, &fillColumns<kWeights, 3>,
                          &fillColumns<kWeights, 4>};

const Fills& fillsOf(WeightFormat weights) {
  switch (weights) {
    case WeightFormat::q4_0: return kFills<WeightFormat::q4_0>;
    case WeightFormat::q4_1: return kFills<WeightFormat::q4_1>;
    case WeightFormat::q5_0: return kFills<WeightFormat::q5_0>;
    case WeightFormat::q5_1: return kFills<WeightFormat::q5_1>;
    case WeightFormat::q4_k: return kFills<WeightFormat::q4_k>;
    case WeightFormat::q5_k: return kFills<WeightFormat::q5_k>;
    case WeightFormat::q6_k: return kFills<WeightFormat::q6_k>;
    default: return kFills<WeightFormat::q8_0>;
  }
}

/** Rounds all rows of a into `memory`, row after row. */
void quantizeRows(const Matmul& p, char* memory) {
  const Scratch gathered(p.transposeA ? (size_t)p.k * 4 : 4);
  for (int64_t i = 0; i < p.m; i++) {
    const float* row = p.a + i * p.k;
    if (p.transposeA) {
      for (int64_t l = 0; l < p.k; l++) gathered.floats()[l] = p.a[l * p.m + i];
      row = gathered.floats();
    }
    quantizeRow(p.weights, row, p.k, QuantizedRow(memory + i * QuantizedRow::bytes(p.k), p.k));
  }
}

}  // namespace

void integerProduct(const Matmul& p, int threads) {
  const Scratch memory((size_t)(p.m * QuantizedRow::bytes(p.k)));
  quantizeRows(p, memory.bytes());
  const Fills& fills = fillsOf(p.weights);
  const Epilogue epilogue{p.bias, p.residual, p.activation, p.preActivation};
  const int64_t columns = kTaskBytes / bytesOf(p.weights, p.k) / 16 * 16, step = columns < 16 ? 16 : columns;
  parallel(threads, (p.n + step - 1) / step, [&](int64_t task, int) {
    const int64_t begin = task * step, end = least(begin + step, p.n);
    for (int64_t i = 0; i < p.m; i += kRowsAtOnce) {
      const int64_t count = least(p.m - i, kRowsAtOnce), bytes = QuantizedRow::bytes(p.k);
      const char* const first = memory.bytes() + i * bytes;
      const QuantizedRow rows[kRowsAtOnce] = {
          {(char*)first, p.k}, {(char*)first + bytes, p.k}, {(char*)first + 2 * bytes, p.k}, {(char*)first + 3 * bytes, p.k}};
      fills[count - 1](Work{p, rows, i}, begin, end);
    }
    if (!epilogue.isEmpty()) finish(epilogue, p.out, p.n, begin, begin, p.m, end - begin);
  });
}

}  // namespace stemma::STEMMA_ISA
