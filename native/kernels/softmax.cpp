#include <math.h>

#include "kernels/functions.h"
#include "kernels/parallel.h"

namespace stemma::STEMMA_ISA {

/** Largest element. It may pass over a NaN, which the sum of exponentials then shows. */
STEMMA_INLINE float rowMax(const float* x, int64_t width) {
  Vec largest = broadcast(-INFINITY);
  forVectors(width, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
    largest = max(largest, loadSome(x + i, count, -INFINITY));
  });
  return maxLanes(largest);
}

/** y = exp(x − peak) where y is not null; gives their sum. */
STEMMA_INLINE float exponentials(const float* x, float peak, float* y, int64_t width) {
  Vec sums[2] = {};
  int64_t i = 0;
  for (; i + 2 * kLanes <= width; i += 2 * kLanes) {
    for (int j = 0; j < 2; j++) {
      Vec e = exp(load(x + i + j * kLanes) - peak);
      if (y) store(y + i + j * kLanes, e);
      sums[j] += e;
    }
  }
  for (; i < width; i += kLanes) {
    const int64_t count = width - i < kLanes ? width - i : kLanes;
    Vec e = exp(loadPartial(x + i, count, -INFINITY) - peak);
    if (y) storePartial(y + i, e, count);
    sums[0] += e;
  }
  return sumLanes(sums[0] + sums[1]);
}

STEMMA_INLINE float dot(const float* a, const float* b, int64_t width) {
  Vec sums = {};
  forVectors(width, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
    sums = fma(loadSome(a + i, count), loadSome(b + i, count), sums);
  });
  return sumLanes(sums);
}

STEMMA_INLINE void scaleRow(float* x, float by, int64_t width) {
  forVectors(width, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
    storeSome(x + i, loadSome(x + i, count) * by, count);
  });
}

/** Rows: y = exp(x − log Σ exp x); y may be x. */
void softmax(const float* x, float* y, int64_t rows, int64_t width, int threads) {
  parallelRows(threads, rows, width, [&](int64_t row) {
    const float* from = x + row * width;
    float* to = y + row * width;
    const float total = exponentials(from, rowMax(from, width), to, width);
    scaleRow(to, 1.0f / total, width);
  });
}

/** Rows: dx = y ⊙ (dy − Σ dy ⊙ y). */
void softmaxGrad(const float* y, const float* dy, float* dx, int64_t rows, int64_t width, int threads) {
  parallelRows(threads, rows, width, [&](int64_t row) {
    const int64_t at = row * width;
    const float mean = dot(y + at, dy + at, width);
    forVectors(width, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
      storeSome(dx + at + i, loadSome(y + at + i, count) * (loadSome(dy + at + i, count) - mean), count);
    });
  });
}

/** Rows: y = x − log Σ exp x; y may be x. */
void logSoftmax(const float* x, float* y, int64_t rows, int64_t width, int threads) {
  parallelRows(threads, rows, width, [&](int64_t row) {
    const float* from = x + row * width;
    const float peak = rowMax(from, width);
    // Subtracted one after the other: their sum would be rounded to the precision of large logits.
    const float logTotal = logf(exponentials(from, peak, nullptr, width));
    forVectors(width, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
      storeSome(y + row * width + i, (loadSome(from + i, count) - peak) - logTotal, count);
    });
  });
}

/** Rows: dx = dy − exp(y) · Σ dy. */
void logSoftmaxGrad(const float* y, const float* dy, float* dx, int64_t rows, int64_t width, int threads) {
  parallelRows(threads, rows, width, [&](int64_t row) {
    const int64_t at = row * width;
    Vec sums = {};
    forVectors(width, [&](int64_t i, int64_t count) STEMMA_EXPANDED { sums += loadSome(dy + at + i, count); });
    const float total = sumLanes(sums);
    forVectors(width, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
      storeSome(dx + at + i, loadSome(dy + at + i, count) - exp(loadSome(y + at + i, count)) * total, count);
    });
  });
}

/**
 * losses[row] = log Σ exp(logits) − logits[target], 0 for a negative target; with dLogits (it may be logits) also
 * (softmax − onehot) · scale, 0 for a negative target.
 */
void crossEntropy(const float* logits, const int32_t* targets, float* losses, float* dLogits, float scale, int64_t rows,
                  int64_t classes, int threads) {
  parallelRows(threads, rows, classes, [&](int64_t row) {
    const float* from = logits + row * classes;
    float* d = dLogits ? dLogits + row * classes : nullptr;
    const int32_t target = targets[row];
    if (target < 0) {
      losses[row] = 0;
      if (d) memset(d, 0, classes * sizeof(float));
      return;
    }
    const float peak = rowMax(from, classes), own = from[target];
    const float total = exponentials(from, peak, d, classes);
    losses[row] = (peak - own) + logf(total);
    if (!d) return;
    scaleRow(d, scale / total, classes);
    d[target] -= scale;
  });
}

}  // namespace stemma::STEMMA_ISA
