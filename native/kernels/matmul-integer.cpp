#include "kernels/matmul-integer.h"

#include "kernels/epilogue.h"
#include "kernels/integer-dots.h"
#include "kernels/integer-squares.h"
#include "kernels/parallel.h"

namespace stemma::STEMMA_ISA {

namespace {

/** Most rows that are multiplied with weights as these lie, by twos; for more, bringing weights into panels costs less. */
constexpr int64_t kFewRows = STEMMA_VECTOR_BYTES == 64 ? 2 : 6;
/** Bytes of weights that a task of few rows reads. */
constexpr int64_t kTaskBytes = 128 << 10;
/** Tasks for each thread, where panels alone do not make as many, and rows that such a task has at least. */
constexpr int64_t kTasksPerThread = 4, kRowsPerTask = 64;

constexpr int64_t divideUp(int64_t x, int64_t by) { return (x + by - 1) / by; }
constexpr int64_t least(int64_t x, int64_t y) { return x < y ? x : y; }
constexpr int64_t most(int64_t x, int64_t y) { return x > y ? x : y; }

/** A product and its rounded rows, which lie in memory one after the other. */
struct Work {
  const Matmul& p;
  char* rows;

  int64_t rowBytes() const { return QuantizedRow::bytes(p.weights, p.k); }
  QuantizedRow row(int64_t i) const { return {rows + i * rowBytes(), p.k}; }
  const uint8_t* column(int64_t j) const { return (const uint8_t*)p.b + j * bytesOf(p.weights, p.k); }
  /** Whether a matrix unit multiplies, and rows that are multiplied with a panel at once. */
  bool usesSquares() const { return multipliesSquares(p.weights) && p.m > kPanelRows; }
  int64_t rowsAtOnce() const { return usesSquares() ? kByteSquareRows : kPanelRows; }
};

/** Writes the first `count` lanes of sums of row `row`, from column `column` on. */
STEMMA_INLINE void put(const Matmul& p, int64_t row, int64_t column, Vec sums, int64_t count) {
  float* const out = p.out + row * p.n + column;
  storeSome(out, p.accumulate ? loadSome(out, count) + sums : sums, count);
}

/** The lanes from number `first` on; zeros follow. */
STEMMA_INLINE Vec lanesFrom(Vec x, int64_t first) {
  float lanes[2 * kLanes] = {};
  store(lanes, x);
  return load(lanes + first);
}

/**
 * Some columns of kRows rows from row `row` on. Columns that do not fill a vector are computed together with those
 * before them, or, where these are not enough, each in all lanes.
 */
template <WeightFormat kWeights, int kRows>
void fillFew(const Work& work, int64_t row, int64_t begin, int64_t end) {
  const Matmul& p = work.p;
  const QuantizedRow rows[2] = {work.row(row), work.row(row + kRows - 1)};
  for (int64_t j = begin, count; j < end; j += count) {
    const bool isRun = end >= kLanes;
    const int64_t first = isRun && end - j < kLanes ? end - kLanes : j;
    count = isRun ? first + kLanes - j : 1;
    Vec sums[kRows] = {};
    addColumns<kWeights, kRows>({work.column(first), isRun ? bytesOf(p.weights, p.k) : 0}, p.k, rows, sums);
    for (int i = 0; i < kRows; i++) put(p, row + i, j, first < j ? lanesFrom(sums[i], j - first) : sums[i], count);
  }
}

/** Few rows: tasks are stretches of columns, which are read as one stream. */
void fewRows(const Work& work, const Epilogue& epilogue, int threads) {
  const Matmul& p = work.p;
  const int64_t step = most(16, kTaskBytes / bytesOf(p.weights, p.k) / 16 * 16);
  parallel(threads, divideUp(p.n, step), [&](int64_t task, int) {
    const int64_t begin = task * step, end = least(begin + step, p.n);
    forBlocks(p.weights, [&](auto of) {
      int64_t row = 0;
      for (; row + 2 <= p.m; row += 2) fillFew<of.format, 2>(work, row, begin, end);
      if (row < p.m) fillFew<of.format, 1>(work, row, begin, end);
    });
    if (!epilogue.isEmpty()) finish(epilogue, p.out, p.n, begin, begin, p.m, end - begin);
  });
}

/** Rows of the output, as many columns of it as a panel has. */
void fillRows(const Work& work, const Epilogue& epilogue, const Panel& panel, int64_t column, int64_t begin, int64_t end) {
  const Matmul& p = work.p;
  const int64_t columns = least(kPanelColumns, p.n - column), step = work.rowsAtOnce();
  alignas(64) float sums[most(kPanelRows, kByteSquareRows) * kPanelColumns];
  for (int64_t i = begin; i < end; i += step) {
    const int64_t count = least(step, end - i);
    const QuantizedRow first = work.row(i);
    const PanelRows rows{first, work.rowBytes(), p.k};
    if (panel.hasSigns) squaresProduct(p.weights, rows, panel, sums);
    else panelProduct(p.weights, rows, count, panel, sums);
    for (int64_t r = 0; r < count; r++) {
      for (int64_t j = 0; j < columns; j += kLanes) {
        put(p, i + r, column + j, load(sums + r * kPanelColumns + j), least(kLanes, columns - j));
      }
    }
    if (!epilogue.isEmpty()) finish(epilogue, p.out, p.n, i * p.n + column, column, count, columns);
  }
}

/** Some rows of one panel, which is packed in memory of the task's own. */
void fillPanel(const Work& work, const Epilogue& epilogue, int64_t column, int64_t begin, int64_t end, char* memory) {
  const Panel panel(memory, work.p.k, work.usesSquares());
  packPanel(work.p.weights, work.column(column), work.p.k, least(kPanelColumns, work.p.n - column), panel);
  if (!panel.hasSigns) return fillRows(work, epilogue, panel, column, begin, end);
  const ByteSquareUnit unit;
  fillRows(work, epilogue, panel, column, begin, end);
}

/** Many rows: tasks are panels, or parts of their rows. */
void manyRows(const Work& work, const Epilogue& epilogue, int threads) {
  const Matmul& p = work.p;
  const int64_t panels = divideUp(p.n, kPanelColumns);
  const int64_t pieces = threads == 1 ? 1 : most(1, least(divideUp(threads * kTasksPerThread, panels), p.m / kRowsPerTask));
  const int64_t step = divideUp(divideUp(p.m, pieces), work.rowsAtOnce()) * work.rowsAtOnce();
  const Scratch memory((size_t)(threads * Panel::bytes(p.k)));
  parallel(threads, panels * pieces, [&](int64_t task, int slot) {
    const int64_t begin = task % pieces * step, end = least(begin + step, p.m);
    if (begin >= end) return;
    fillPanel(work, epilogue, task / pieces * kPanelColumns, begin, end, memory.bytes() + slot * Panel::bytes(p.k));
  });
}

/** Rounds all rows of a; those up to number `padded` are zeros. */
void quantizeRows(const Work& work, int64_t padded, int threads) {
  const Matmul& p = work.p;
  memset(work.rows + p.m * work.rowBytes(), 0, (size_t)((padded - p.m) * work.rowBytes()));
  const Scratch gathered(p.transposeA ? (size_t)(p.m * p.k) * 4 : 4);
  parallelRows(threads, p.m, p.k, [&](int64_t i) {
    const float* row = p.a + i * p.k;
    if (p.transposeA) {
      float* const own = gathered.floats() + i * p.k;
      for (int64_t l = 0; l < p.k; l++) own[l] = p.a[l * p.m + i];
      row = own;
    }
    quantizeRow(p.weights, row, p.k, work.row(i));
  });
}

}  // namespace

void integerProduct(const Matmul& p, int threads) {
  const int64_t atOnce = most(kPanelRows, kByteSquareRows);
  const int64_t padded = p.m <= kFewRows ? p.m : divideUp(p.m, atOnce) * atOnce;
  const Scratch memory((size_t)(padded * QuantizedRow::bytes(p.weights, p.k)));
  const Work work{p, memory.bytes()};
  const Epilogue epilogue{p.bias, p.residual, p.activation, p.preActivation};
  quantizeRows(work, padded, p.m * p.k < 16384 ? 1 : threads);
  if (p.m <= kFewRows) fewRows(work, epilogue, threads);
  else manyRows(work, epilogue, threads);
}

}  // namespace stemma::STEMMA_ISA
