#include "kernels/matmul-narrow.h"

#include "kernels/epilogue.h"
#include "kernels/pack.h"
#include "kernels/parallel.h"
#include "kernels/transpose.h"
#include "kernels/units.h"
#include "kernels/weights.h"

namespace stemma::STEMMA_ISA {

namespace {

/** Sums that fit in registers beside what is being multiplied. */
constexpr int kRegisterSums = STEMMA_VECTOR_BYTES == 64 ? 16 : 8;
/** Rows of a that are computed together; the next ones find b in the cache. */
constexpr int64_t kRowsAtOnce = 4;
/** Bytes of b that a task reads: long enough for a stream to get up to speed. */
constexpr int64_t kTaskBytes = 256 << 10;
/** Numbers of b that are asked for ahead of use; across the pages and rows where the processor's own foresight ends. */
constexpr int64_t kAhead = 512;
/** Sums of one row of a with one row of b, side by side: as many as hide the latency of adding. */
constexpr int kChains = 4;
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

/** Some rows of a, as units, and the place of the first in the output. */
struct Rows {
  const float* data;
  int64_t units;
  float* out;
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

/** kColumns columns of a product with b stored [n, k]: each is one row of b, times all rows of a. */
template <Format kFormat, WeightFormat kWeights, int kRows, int kColumns>
STEMMA_INLINE void dotColumns(const Matmul& p, Rows a, int64_t column) {
  constexpr int64_t kWidth = unitWidth(kFormat);
  const int64_t rowBytes = bytesOf(kWeights, p.k);
  const char* b = (const char*)p.b + column * rowBytes;
  constexpr int kSums = kRows * kColumns;
  Vec sums[(kSums + kLanes - 1) / kLanes * kLanes] = {};
  forVectors(a.units, [&](int64_t u, int64_t count) STEMMA_EXPANDED {
    Vec units[kColumns];
#pragma GCC unroll 4
    for (int j = 0; j < kColumns; j++) {
      units[j] = unitsOfRow<kFormat, kWeights>(b + j * rowBytes, u * kWidth, p.k);
      __builtin_prefetch(b + (j + kColumns) * rowBytes + bytesOf(kWeights, u * kWidth));
    }
#pragma GCC unroll 4
    for (int i = 0; i < kRows; i++) {
      const Vec row = loadSome(a.data + i * a.units + u, count);
#pragma GCC unroll 4
      for (int j = 0; j < kColumns; j++) {
        Vec& sum = sums[i * kColumns + j];
        sum = multiplyAdd<kFormat>(row, units[j], sum);
      }
    }
  });
  float totals[sizeof sums / sizeof sums[0]];
#pragma GCC unroll 8
  for (int first = 0; first < kSums; first += kLanes) {
    Vec square[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; i++) square[i] = sums[first + i];
    store(totals + first, sumsOfRows(square));
  }
  for (int i = 0; i < kRows; i++) {
    float* const out = a.out + i * p.n + column;
    for (int j = 0; j < kColumns; j++) out[j] = p.accumulate ? out[j] + totals[i * kColumns + j] : totals[i * kColumns + j];
  }
}

/** Up to kLanes columns of a product of one row, with b stored [n, k]: b is read as one stream. */
template <Format kFormat, WeightFormat kWeights>
STEMMA_INLINE void dotStream(const Matmul& p, Rows a, int64_t column, int64_t count) {
  constexpr int64_t kWidth = unitWidth(kFormat);
  const int64_t rowBytes = bytesOf(kWeights, p.k);
  Vec square[kLanes] = {};
  for (int64_t j = 0; j < count; j++) {
    const char* b = (const char*)p.b + (column + j) * rowBytes;
    Vec sums[kChains] = {};
    int64_t u = 0;
    for (; u + kChains * kLanes <= a.units; u += kChains * kLanes) {
#pragma GCC unroll 4
      for (int c = 0; c < kChains; c++) {
        const int64_t at = u + c * kLanes;
        __builtin_prefetch(b + bytesOf(kWeights, at * kWidth) + kAhead * 4);
        sums[c] = multiplyAdd<kFormat>(load(a.data + at), unitsOfRow<kFormat, kWeights>(b, at * kWidth, p.k), sums[c]);
      }
    }
    for (; u < a.units; u += kLanes) {
      const Vec row = loadSome(a.data + u, least(a.units - u, kLanes));
      sums[0] = multiplyAdd<kFormat>(row, unitsOfRow<kFormat, kWeights>(b, u * kWidth, p.k), sums[0]);
    }
    square[j] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  }
  float totals[kLanes];
  store(totals, sumsOfRows(square));
  for (int64_t j = 0; j < count; j++) a.out[column + j] = p.accumulate ? a.out[column + j] + totals[j] : totals[j];
}

template <Format kFormat, WeightFormat kWeights, int kRows>
STEMMA_INLINE void dotProducts(const Matmul& p, Rows a, Columns columns) {
  int64_t j = columns.begin;
  if constexpr (kRows == 1) {
    for (; j < columns.end; j += kLanes) dotStream<kFormat, kWeights>(p, a, j, least(kLanes, columns.end - j));
    return;
  }
  constexpr int kColumns = kRegisterSums / kRows < 4 ? kRegisterSums / kRows : 4;
  for (; j + kColumns <= columns.end; j += kColumns) dotColumns<kFormat, kWeights, kRows, kColumns>(p, a, j);
  for (; j < columns.end; j++) dotColumns<kFormat, kWeights, kRows, 1>(p, a, j);
}

/** Adds up to kDepth units of k to some columns of a product with b stored [k, n]. */
template <Format kFormat, WeightFormat kWeights, int kRows, int kUnits>
STEMMA_INLINE void addRows(const Matmul& p, Rows a, int64_t unit, Columns columns, bool add) {
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
#pragma GCC unroll 4
    for (int i = 0; i < kRows; i++) {
      float* const out = a.out + i * p.n + column;
      Vec sum = add ? loadSome(out, count) : Vec{};
#pragma GCC unroll 4
      for (int u = 0; u < kUnits; u++) sum = multiplyAdd<kFormat>(broadcast(a.data[i * a.units + unit + u]), units[u], sum);
      storeSome(out, sum, count);
    }
  });
}

/** Calls `body(rows)` for the rows of a, kRowsAtOnce at a time, with their number as a constant of the compiler. */
template <class Body>
STEMMA_INLINE void forRows(const Matmul& p, Rows a, Body&& body) {
  for (int64_t i = 0; i < p.m; i += kRowsAtOnce) {
    const Rows rows{a.data + i * a.units, a.units, a.out + i * p.n};
    switch (least(p.m - i, kRowsAtOnce)) {
      case 1: body(Count<1>{}, rows); break;
      case 2: body(Count<2>{}, rows); break;
      case 3: body(Count<3>{}, rows); break;
      default: body(Count<4>{}, rows);
    }
  }
}

template <Format kFormat, WeightFormat kWeights>
void fillColumns(const Matmul& p, Rows a, Columns columns) {
  if (p.transposeB) {
    forRows(p, a, [&](auto count, Rows rows) { dotProducts<kFormat, kWeights, count.value>(p, rows, columns); });
    return;
  }
  bool add = p.accumulate;
  int64_t u = 0;
  for (; u + kDepth <= a.units; u += kDepth, add = true) {
    forRows(p, a, [&](auto count, Rows rows) { addRows<kFormat, kWeights, count.value, kDepth>(p, rows, u, columns, add); });
  }
  for (; u < a.units; u++, add = true) {
    forRows(p, a, [&](auto count, Rows rows) { addRows<kFormat, kWeights, count.value, 1>(p, rows, u, columns, add); });
  }
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

using Fill = void (*)(const Matmul& p, Rows a, Columns columns);

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
  const Scratch packed((size_t)(p.m * units) * 4);
  if (p.transposeA && p.m > 1) packTransposedRows(format, p, packed.floats());
  else packRows(format, p.a, p.k, p.m, p.k, packed.floats());
  const Fill fill = fillOf(p, format);
  const Epilogue epilogue{p.bias, p.residual, p.activation, p.preActivation};
  const int64_t step = columnsOfTask(p);
  parallel(threads, (p.n + step - 1) / step, [&](int64_t task, int) {
    const Columns columns{task * step, least((task + 1) * step, p.n)};
    fill(p, Rows{packed.floats(), units, p.out}, columns);
    if (!epilogue.isEmpty()) {
      finish(epilogue, p.out, p.n, columns.begin, columns.begin, p.m, columns.end - columns.begin);
    }
  });
}

}  // namespace stemma::STEMMA_ISA
