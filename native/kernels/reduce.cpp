#include "kernels/reduce.h"

#include <math.h>

#include "kernels/parallel.h"
#include "kernels/vector.h"

namespace stemma::STEMMA_ISA {

/** Elements of one partial sum. Fixed, so that a sum does not depend on the number of threads. */
constexpr int64_t kPiece = 8192;

/** Σ f(x) of a stretch, in four independent vectors so that additions overlap. */
template <class F>
STEMMA_INLINE float sumStretch(const float* x, int64_t length, F f) {
  Vec sums[4] = {};
  int64_t i = 0;
  for (; i + 4 * kLanes <= length; i += 4 * kLanes)
    for (int j = 0; j < 4; j++) sums[j] += f(load(x + i + j * kLanes));
  for (; i < length; i += kLanes) {
    const int64_t count = length - i < kLanes ? length - i : kLanes;
    sums[0] += f(loadPartial(x + i, count));
  }
  return sumLanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

static double sumPieces(const float* x, int64_t length, int threads) {
  const int64_t pieces = (length + kPiece - 1) / kPiece;
  if (pieces <= 1) return sumStretch(x, length, [](Vec v) STEMMA_EXPANDED { return v; });
  Scratch partial(pieces * sizeof(float));
  float* sums = partial.floats();
  parallel(threads, pieces, [&](int64_t piece, int) {
    const int64_t begin = piece * kPiece, end = begin + kPiece < length ? begin + kPiece : length;
    sums[piece] = sumStretch(x + begin, end - begin, [](Vec v) STEMMA_EXPANDED { return v; });
  });
  double total = 0;
  for (int64_t piece = 0; piece < pieces; piece++) total += sums[piece];
  return total;
}

/** out[i] += Σ rows of x, for `rows` rows of `width`. */
STEMMA_INLINE void addRows(const float* x, int64_t rows, int64_t width, float* out) {
  for (int64_t row = 0; row < rows; row++) {
    const float* from = x + row * width;
    forVectors(width, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
      storeSome(out + i, loadSome(out + i, count) + loadSome(from + i, count), count);
    });
  }
}

/** Sum of the rows of one matrix, in fixed groups of rows that are added in order. */
static void sumRows(const float* x, int64_t rows, int64_t width, float* out, int threads) {
  const int64_t some = rows > 64 ? 64 : rows;
  const int64_t groups = (rows + some - 1) / some;
  Scratch partial(groups * width * sizeof(float));
  float* sums = partial.floats();
  parallel(threads, groups, [&](int64_t group, int) {
    const int64_t count = (group + 1) * some < rows ? some : rows - group * some;
    memset(sums + group * width, 0, width * sizeof(float));
    addRows(x + group * some * width, count, width, sums + group * width);
  });
  memset(out, 0, width * sizeof(float));
  addRows(sums, groups, width, out);
}

/** out[o, i] = Σₐ x[o, a, i]. */
void sum(const float* x, int64_t outer, int64_t axis, int64_t inner, float* out, int threads) {
  if (inner == 1 && outer == 1) {
    out[0] = (float)sumPieces(x, axis, threads);
  } else if (inner == 1) {
    parallelRows(threads, outer, axis, [&](int64_t o) {
      float total = 0;
      // Long rows are summed piece by piece, to lose less to rounding.
      for (int64_t a = 0; a < axis; a += kPiece) {
        const int64_t length = axis - a < kPiece ? axis - a : kPiece;
        total += sumStretch(x + o * axis + a, length, [](Vec v) STEMMA_EXPANDED { return v; });
      }
      out[o] = total;
    });
  } else if (outer == 1) {
    sumRows(x, axis, inner, out, threads);
  } else {
    parallelRows(threads, outer, axis * inner, [&](int64_t o) {
      memset(out + o * inner, 0, inner * sizeof(float));
      addRows(x + o * axis * inner, axis, inner, out + o * inner);
    });
  }
}

/** out[o, i] = maxₐ x[o, a, i]; NaN where any is NaN, −infinity along an empty axis. */
void maxAlong(const float* x, int64_t outer, int64_t axis, int64_t inner, float* out, int threads) {
  parallelRows(threads, outer, axis * inner, [&](int64_t o) {
    float* to = out + o * inner;
    for (int64_t i = 0; i < inner; i++) to[i] = -INFINITY;
    for (int64_t a = 0; a < axis; a++) {
      const float* from = x + (o * axis + a) * inner;
      for (int64_t i = 0; i < inner; i++) to[i] = from[i] > to[i] || from[i] != from[i] ? from[i] : to[i];
    }
  });
}

/** out[row] = place of the largest element, the first of equals. */
void argmax(const float* x, int64_t rows, int64_t width, int32_t* out, int threads) {
  parallelRows(threads, rows, width, [&](int64_t row) {
    const float* from = x + row * width;
    int64_t best = 0;
    for (int64_t i = 1; i < width; i++)
      if (from[i] > from[best]) best = i;
    out[row] = (int32_t)best;
  });
}

/** out[0] = √Σ ‖spanⱼ‖². */
void globalNorm(const Span* spans, int count, float* out, int threads) {
  int64_t pieces = 0;
  for (int j = 0; j < count; j++) pieces += (spans[j].length + kPiece - 1) / kPiece;
  Scratch partial((pieces + 1) * sizeof(float) + (count + 1) * sizeof(int64_t));
  int64_t* firsts = (int64_t*)partial.bytes();
  float* sums = (float*)(firsts + count + 1);
  firsts[0] = 0;
  for (int j = 0; j < count; j++) firsts[j + 1] = firsts[j] + (spans[j].length + kPiece - 1) / kPiece;
  parallel(threads, count, [&](int64_t j, int) {
    for (int64_t piece = 0; piece < firsts[j + 1] - firsts[j]; piece++) {
      const int64_t begin = piece * kPiece;
      const int64_t length = spans[j].length - begin < kPiece ? spans[j].length - begin : kPiece;
      sums[firsts[j] + piece] = sumStretch(spans[j].data + begin, length, [](Vec v) STEMMA_EXPANDED { return v * v; });
    }
  });
  double total = 0;
  for (int64_t piece = 0; piece < pieces; piece++) total += sums[piece];
  out[0] = (float)::sqrt(total);
}

}  // namespace stemma::STEMMA_ISA
