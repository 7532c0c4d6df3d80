#include "kernels/matmul-narrow.h"

#include <string.h>

#include "kernels/epilogue.h"
#include "kernels/matmul-packed.h"
#include "kernels/pack.h"
#include "kernels/parallel.h"
#include "kernels/transpose.h"
#include "kernels/units.h"
#include "kernels/weights.h"

namespace stemma::STEMMA_ISA {

namespace {

/** Rows of a that are computed together, from one reading of b; the next ones find b in the cache. */
constexpr int64_t kRowsAtOnce = 8;
/** Bytes of b that a task reads: long enough for a stream to get up to speed. */
constexpr int64_t kTaskBytes = 256 << 10;
/** Columns that a task sums in its first cache, for b stored by rows. */
constexpr int64_t kStripColumns = 512;
/** Rows of b that are read side by side then. */
constexpr int kDepth = 4;

constexpr int64_t least(int64_t x, int64_t y) { return x < y ? x : y; }

/** A stretch of columns of the output. */
struct Columns {
  int64_t begin, end;
};

/** A number that the compiler knows. */
template <int kValue>
struct Count {
  static constexpr int value = kValue;
};

/** Some rows of a, as units; those that fill up a number the compiler knows are zeros and come to nothing. */
struct Rows {
  const float* data;
  int64_t units;
  float* out;
  /** Rows that there are. */
  int64_t count;
};

/** A block of k, in units: sums of one are added to those of the blocks before it. */
struct Block {
  int64_t begin, end;
  bool add;
};

/** The units of one vector along a row of k numbers of b, starting at number `at`. */
template <Format kFormat, WeightFormat kWeights>
STEMMA_INLINE Vec unitsOfRow(const void* row, int64_t at, int64_t k) {
  if constexpr (kWeights == WeightFormat::float32) {
    return unitsAlongRow<kFormat>((const float*)row, at, k);
  } else {
    const Vec x = loadWeights<kWeights>(row, at, least(k - at, kLanes));
    return kFormat == Format::rounded ? roundToBfloat16(x) : x;
  }
}

/** The units that are first, or second, in pairs of 16-bit weights. */
template <Format kFormat, WeightFormat kWeights, int kSecond>
STEMMA_INLINE Vec unitsOfPairs(Vec pairs) {
  const Vec x = numbersOfPairs<kWeights, kSecond>(pairs);
  return kFormat == Format::rounded && kWeights == WeightFormat::float16 ? roundToBfloat16(x) : x;
}

/** A square of b stored [n, k]: the units of up to kLanes columns, a column to a lane. */
template <Format kFormat, WeightFormat kWeights>
STEMMA_INLINE void loadSquare(const Matmul& p, int64_t column, int64_t columns, int64_t unit, int64_t units,
                              Vec (&square)[kLanes]) {
  constexpr int64_t kWidth = unitWidth(kFormat);
  const int64_t rowBytes = bytesOf(kWeights, p.k);
  const char* const b = (const char*)p.b + column * rowBytes;
  if (kFormat == Format::float32 && kWeights == WeightFormat::float32 && columns == kLanes && units == kLanes) {
    return loadTransposed(b + unit * 4, rowBytes, square);
  }
  for (int j = 0; j < kLanes; j++) {
    square[j] = j < columns ? unitsOfRow<kFormat, kWeights>(b + j * rowBytes, unit * kWidth, p.k) : Vec{};
  }
  transposeSquare(square);
}

/** Memory that is soon read, in parts side by side: a processor fetches several streams faster than one. */
template <int kParts>
struct Ahead {
  const char* at;
  int64_t part;
};

/** Asks for the next kBytes of each part. */
template <int kBytes, int kParts>
STEMMA_INLINE void ask(Ahead<kParts>& ahead) {
#pragma GCC unroll 8
  for (int i = 0; i < kParts; i++) {
#pragma GCC unroll 8
    for (int byte = 0; byte < kBytes; byte += 64) __builtin_prefetch(ahead.at + i * ahead.part + byte, 0, 2);
  }
  ahead.at += kBytes;
}

/** Columns that make a part of what is asked for. */
constexpr int64_t kPartColumns = kLanes < 4 ? kLanes : 4;
template <int kSquares>
using NextColumns = Ahead<kSquares * kLanes / kPartColumns>;

/**
 * Up to kSquares · kLanes columns of a product with b stored [n, k]: squares of b are transposed in registers, so that each
 * column is a lane and sums run over k in order, as those of a tile do. Weights of 16 bits are transposed as pairs, which
 * takes half of the shuffles. Two squares hide the latency of adding where rows are few.
 */
template <Format kFormat, WeightFormat kWeights, int kRows, int kSquares>
STEMMA_INLINE void dotColumns(const Matmul& p, const Rows& a, const Block& block, int64_t column, int64_t count,
                              NextColumns<kSquares>& next) {
  constexpr int64_t kWidth = unitWidth(kFormat);
  const int64_t rowBytes = bytesOf(kWeights, p.k), columns = kSquares > 1 ? kLanes : count;
  Vec sums[kSquares][kRows] = {};
  const auto add = [&](int s, int64_t unit, Vec b) STEMMA_EXPANDED {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) {
      sums[s][r] = multiplyAdd<kFormat>(broadcast(a.data[r * a.units + unit]), b, sums[s][r]);
    }
  };
  int64_t begin = block.begin;
  if constexpr (blockBytes(kWeights) == 2) {
    for (; columns == kLanes && begin + 2 * kLanes <= block.end; begin += 2 * kLanes) {
      ask<kPartColumns * kLanes * 4>(next);
#pragma GCC unroll 2
      for (int s = 0; s < kSquares; s++) {
        Vec pairs[kLanes];
        loadTransposed((const char*)p.b + (column + s * kLanes) * rowBytes + begin * 2, rowBytes, pairs);
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; i++) {
          add(s, begin + 2 * i, unitsOfPairs<kFormat, kWeights, 0>(pairs[i]));
          add(s, begin + 2 * i + 1, unitsOfPairs<kFormat, kWeights, 1>(pairs[i]));
        }
      }
    }
  }
  forVectors(block.end - begin, [&](int64_t at, int64_t units) STEMMA_EXPANDED {
    const int64_t u = begin + at;
    ask<kPartColumns * bytesOf(kWeights, kLanes * kWidth)>(next);
#pragma GCC unroll 2
    for (int s = 0; s < kSquares; s++) {
      Vec square[kLanes];
      loadSquare<kFormat, kWeights>(p, column + s * kLanes, columns, u, units, square);
      if (units == kLanes) {
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; i++) add(s, u + i, square[i]);
      } else {
        for (int i = 0; i < units; i++) add(s, u + i, square[i]);
      }
    }
  });
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
    if (r >= a.count) break;
#pragma GCC unroll 2
    for (int s = 0; s < kSquares; s++) {
      float* const out = a.out + r * p.n + column + s * kLanes;
      storeSome(out, block.add ? loadSome(out, columns) + sums[s][r] : sums[s][r], columns);
    }
  }
}

/** Adds up to kDepth units of k to the sums `[kRows, kStripColumns]` of some columns of a product with b stored [k, n]. */
template <Format kFormat, WeightFormat kWeights, int kRows, int kUnits>
STEMMA_INLINE void addRows(const Matmul& p, const Rows& a, int64_t unit, Columns columns, bool add, float* sums) {
  constexpr int64_t kWidth = unitWidth(kFormat);
  forVectors(columns.end - columns.begin, [&](int64_t at, int64_t count) STEMMA_EXPANDED {
    const int64_t column = columns.begin + at;
    Vec units[kUnits];
#pragma GCC unroll 4
    for (int u = 0; u < kUnits; u++) {
      const int64_t l = (unit + u) * kWidth;
      const Vec first = loadWeights<kWeights>(p.b, l * p.n + column, count);
      const Vec second = kWidth == 2 && l + 1 < p.k ? loadWeights<kWeights>(p.b, (l + 1) * p.n + column, count) : Vec{};
      units[u] = unitsAcrossRows<kFormat>(first, second);
    }
#pragma GCC unroll 8
    for (int i = 0; i < kRows; i++) {
      float* const to = sums + i * kStripColumns + at;
      Vec sum = add ? loadSome(to, count) : Vec{};
#pragma GCC unroll 4
      for (int u = 0; u < kUnits; u++) sum = multiplyAdd<kFormat>(broadcast(a.data[i * a.units + unit + u]), units[u], sum);
      storeSome(to, sum, count);
    }
  });
}

/** Some columns of a product with b stored [k, n], at most kStripColumns: b is read as it lies. */
template <Format kFormat, WeightFormat kWeights, int kRows>
STEMMA_INLINE void sumColumns(const Matmul& p, const Rows& a, const Block& block, Columns columns) {
  alignas(64) float sums[kRows * kStripColumns];
  int64_t u = block.begin;
  for (; u + kDepth <= block.end; u += kDepth) {
    addRows<kFormat, kWeights, kRows, kDepth>(p, a, u, columns, u > block.begin, sums);
  }
  for (; u < block.end; u++) addRows<kFormat, kWeights, kRows, 1>(p, a, u, columns, u > block.begin, sums);
  for (int64_t r = 0; r < a.count; r++) {
    float* const out = a.out + r * p.n + columns.begin;
    forVectors(columns.end - columns.begin, [&](int64_t at, int64_t count) STEMMA_EXPANDED {
      const Vec sum = loadSome(sums + r * kStripColumns + at, count);
      storeSome(out + at, block.add ? loadSome(out + at, count) + sum : sum, count);
    });
  }
}

/** Rows that are computed for `count` rows. */
constexpr int64_t paddedRows(int64_t count) { return count <= 2 ? count : count <= 4 ? 4 : 8; }

/** Calls `body(rows)` for the rows of a, kRowsAtOnce at a time, with their number as a constant of the compiler. */
template <class Body>
STEMMA_INLINE void forRows(const Matmul& p, const float* data, int64_t units, Body&& body) {
  for (int64_t i = 0; i < p.m; i += kRowsAtOnce) {
    const Rows rows{data + i * units, units, p.out + i * p.n, least(p.m - i, kRowsAtOnce)};
    switch (paddedRows(rows.count)) {
      case 1: body(Count<1>{}, rows); break;
      case 2: body(Count<2>{}, rows); break;
      case 4: body(Count<4>{}, rows); break;
      default: body(Count<8>{}, rows);
    }
  }
}

/** Calls `body` for the blocks of k, one after the other. */
template <class Body>
STEMMA_INLINE void forBlocksOfSums(const Matmul& p, int64_t units, int64_t step, Body&& body) {
  for (int64_t begin = 0; begin < units; begin += step) {
    body(Block{begin, least(begin + step, units), p.accumulate || begin > 0});
  }
}

template <Format kFormat, WeightFormat kWeights>
void fillColumns(const Matmul& p, const float* a, Columns columns) {
  const int64_t units = unitsOf(kFormat, p.k), step = blockUnits(kFormat, units, p.weights);
  forRows(p, a, units, [&](auto count, const Rows& rows) {
    if (!p.transposeB) {
      return forBlocksOfSums(p, units, step, [&](const Block& block) {
        sumColumns<kFormat, kWeights, count.value>(p, rows, block, columns);
      });
    }
    const auto dot = [&](auto squares, int64_t column, int64_t some) STEMMA_EXPANDED {
      constexpr int64_t kColumns = squares.value * kLanes;
      const int64_t rowBytes = bytesOf(kWeights, p.k), last = p.n - kColumns, next = column + kColumns;
      NextColumns<squares.value> ahead{(const char*)p.b + (next < last ? next : column) * rowBytes, kPartColumns * rowBytes};
      forBlocksOfSums(p, units, step, [&](const Block& block) STEMMA_EXPANDED {
        dotColumns<kFormat, kWeights, squares.value == 2 ? least(count.value, 2) : count.value, squares.value>(
            p, rows, block, column, some, ahead);
      });
    };
    int64_t j = columns.begin;
    for (; count.value <= 2 && j + 2 * kLanes <= columns.end; j += 2 * kLanes) dot(Count<2>{}, j, 2 * kLanes);
    for (; j < columns.end; j += kLanes) dot(Count<1>{}, j, least(kLanes, columns.end - j));
  });
}

/** a[k, m] → packed rows of units, by way of rows of numbers. */
void packTransposedRows(Format format, const Matmul& p, float* packed) {
  const Scratch rows((size_t)(p.m * p.k) * 4);
  for (int64_t l = 0; l < p.k; l++) {
    for (int64_t i = 0; i < p.m; i++) rows.floats()[i * p.k + l] = p.a[l * p.m + i];
  }
  packRows(format, rows.floats(), p.k, p.m, p.k, packed);
}

/** Columns of a task: all of one cut alike, in whole vectors, whatever the number of threads. */
int64_t columnsOfTask(const Matmul& p) {
  if (!p.transposeB) return kStripColumns;
  const int64_t columns = kTaskBytes / bytesOf(p.weights, p.k) / 16 * 16;
  return columns < 16 ? 16 : columns;
}

/** How a narrow product sees its operands: rounded weights are multiplied as float32 everywhere. */
Format formatOf(const Matmul& p) {
  if (!p.useBfloat16) return Format::float32;
  return p.weights == WeightFormat::float32 ? kBfloat16Format : Format::rounded;
}

using Fill = void (*)(const Matmul& p, const float* a, Columns columns);

template <WeightFormat kWeights>
Fill fillOfRounded(Format format) {
  return format == Format::float32 ? &fillColumns<Format::float32, kWeights> : &fillColumns<Format::rounded, kWeights>;
}

Fill fillOf(const Matmul& p, Format format) {
  switch (p.weights) {
    case WeightFormat::bfloat16: return fillOfRounded<WeightFormat::bfloat16>(format);
    case WeightFormat::float16: return fillOfRounded<WeightFormat::float16>(format);
    default:
      return format == Format::float32 ? &fillColumns<Format::float32, WeightFormat::float32>
                                       : &fillColumns<kBfloat16Format, WeightFormat::float32>;
  }
}

}  // namespace

void narrowProduct(const Matmul& p, int threads) {
  const Format format = formatOf(p);
  const int64_t units = unitsOf(format, p.k);
  const int64_t rows = p.m / kRowsAtOnce * kRowsAtOnce + paddedRows(p.m % kRowsAtOnce);
  const Scratch packed((size_t)(rows * units) * 4);
  memset(packed.floats() + p.m * units, 0, (size_t)((rows - p.m) * units) * 4);
  if (p.transposeA && p.m > 1) packTransposedRows(format, p, packed.floats());
  else packRows(format, p.a, p.k, p.m, p.k, packed.floats());
  const Fill fill = fillOf(p, format);
  const Epilogue epilogue{p.bias, p.residual, p.activation, p.preActivation};
  const int64_t step = columnsOfTask(p);
  parallel(threads, (p.n + step - 1) / step, [&](int64_t task, int) {
    const Columns columns{task * step, least((task + 1) * step, p.n)};
    fill(p, packed.floats(), columns);
    if (!epilogue.isEmpty()) {
      finish(epilogue, p.out, p.n, columns.begin, columns.begin, p.m, columns.end - columns.begin);
    }
  });
}

}  // namespace stemma::STEMMA_ISA
