#include "kernels/norm.h"

#include <math.h>

#include "kernels/parallel.h"
#include "kernels/vector.h"

namespace stemma::STEMMA_ISA {

/** Rows that one task takes. Fixed: gradients of gain and bias are summed task by task. */
constexpr int64_t kRows = 32;

/** Tasks of each sample. */
static int64_t tasksOf(int64_t rows, int64_t samples) {
  return samples > 0 ? (rows / samples + kRows - 1) / kRows : 0;
}

/** Calls `body(task, sample, begin, end)` for up to kRows rows of one sample. */
template <class Body>
static void forGroups(int threads, int64_t rows, int64_t samples, Body&& body) {
  const int64_t tasks = tasksOf(rows, samples), each = samples > 0 ? rows / samples : 0;
  parallel(threads, samples * tasks, [&](int64_t task, int) {
    const int64_t sample = task / tasks, begin = task % tasks * kRows;
    const int64_t end = begin + kRows < each ? begin + kRows : each;
    body(task, sample, sample * each + begin, sample * each + end);
  });
}

/** A row of gain or bias; where there is none, the same number everywhere. */
struct Factors {
  const float* row;
  float rest;
  Factors(const float* all, int64_t sample, int64_t width, float without)
      : row(all ? all + sample * width : nullptr), rest(without) {}
  STEMMA_EXPANDED Vec at(int64_t i, int64_t count) const { return row ? loadSome(row + i, count) : broadcast(rest); }
};

/** y = (x − mean) · rstd · gain + bias, rstd = 1/√(var + ε). */
void layerNorm(const float* x, const float* gain, const float* bias, float epsilon, float* y, float* mean, float* rstd,
               int64_t rows, int64_t width, int64_t samples, int threads) {
  forGroups(threads, rows, samples, [&](int64_t, int64_t sample, int64_t begin, int64_t end) {
    const Factors gains(gain, sample, width, 1), biases(bias, sample, width, 0);
    for (int64_t row = begin; row < end; row++) {
      const float* from = x + row * width;
      Vec sums = {};
      forVectors(width, [&](int64_t i, int64_t count) STEMMA_EXPANDED { sums += loadSome(from + i, count); });
      const float centre = sumLanes(sums) / (float)width;
      Vec squares = {};
      forVectors(width, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
        Vec d = loadSome(from + i, count, centre) - centre;
        squares = fma(d, d, squares);
      });
      const float scale = 1.0f / sqrtf(sumLanes(squares) / (float)width + epsilon);
      mean[row] = centre;
      rstd[row] = scale;
      forVectors(width, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
        Vec normal = (loadSome(from + i, count) - centre) * scale;
        storeSome(y + row * width + i, fma(normal, gains.at(i, count), biases.at(i, count)), count);
      });
    }
  });
}

/** y = x · rstd · gain, rstd = 1/√(mean x² + ε). */
void rmsNorm(const float* x, const float* gain, float epsilon, float* y, float* rstd, int64_t rows, int64_t width,
             int threads) {
  forGroups(threads, rows, 1, [&](int64_t, int64_t, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
      const float* from = x + row * width;
      Vec squares = {};
      forVectors(width, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
        Vec value = loadSome(from + i, count);
        squares = fma(value, value, squares);
      });
      const float scale = 1.0f / sqrtf(sumLanes(squares) / (float)width + epsilon);
      rstd[row] = scale;
      forVectors(width, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
        storeSome(y + row * width + i, loadSome(from + i, count) * scale * loadSome(gain + i, count), count);
      });
    }
  });
}

/** One row of dx; adds to the sums for gain and bias where they are wanted. */
template <bool centred>
static void normGradRow(const NormGradient& n, int64_t row, const Factors& gains, float* gainSum, float* biasSum) {
  const int64_t at = row * n.width;
  const float *x = n.x + at, *dy = n.dy + at;
  const float centre = centred ? n.mean[row] : 0.0f, scale = n.rstd[row];
  Vec sum = {}, product = {};
  forVectors(n.width, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
    Vec d = loadSome(dy + i, count);
    Vec normal = (loadSome(x + i, count) - centre) * scale;
    Vec dNormal = d * gains.at(i, count);
    sum += dNormal;
    product = fma(dNormal, normal, product);
    if (gainSum) storeSome(gainSum + i, fma(d, normal, loadSome(gainSum + i, count)), count);
    if (biasSum) storeSome(biasSum + i, loadSome(biasSum + i, count) + d, count);
  });
  const float meanD = centred ? sumLanes(sum) / (float)n.width : 0.0f;
  const float meanProduct = sumLanes(product) / (float)n.width;
  forVectors(n.width, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
    Vec normal = (loadSome(x + i, count) - centre) * scale;
    Vec dNormal = loadSome(dy + i, count) * gains.at(i, count);
    Vec d = (dNormal - meanD - normal * meanProduct) * scale;
    if (n.residual) d += loadSome(n.residual + at + i, count);
    storeSome(n.dx + at + i, d, count);
  });
}

/** Adds the groups' sums in order. */
static void sumGroups(const float* groups, int64_t count, int64_t stride, int64_t width, float* out) {
  memset(out, 0, width * sizeof(float));
  for (int64_t group = 0; group < count; group++) {
    forVectors(width, [&](int64_t i, int64_t some) STEMMA_EXPANDED {
      storeSome(out + i, loadSome(out + i, some) + loadSome(groups + group * stride + i, some), some);
    });
  }
}

template <bool centred>
static void normGrad(const NormGradient& n, int threads) {
  const int64_t groups = tasksOf(n.rows, n.samples), stride = 2 * n.width;
  Scratch partial(n.samples * groups * stride * sizeof(float) + 64);
  float* sums = partial.floats();
  forGroups(threads, n.rows, n.samples, [&](int64_t group, int64_t sample, int64_t begin, int64_t end) {
    const Factors gains(n.gain, sample, n.width, 1);
    float* gainSum = n.dGain ? sums + group * stride : nullptr;
    float* biasSum = n.dBias ? sums + group * stride + n.width : nullptr;
    memset(sums + group * stride, 0, stride * sizeof(float));
    for (int64_t row = begin; row < end; row++) normGradRow<centred>(n, row, gains, gainSum, biasSum);
  });
  for (int64_t sample = 0; sample < n.samples; sample++) {
    const float* own = sums + sample * groups * stride;
    if (n.dGain) sumGroups(own, groups, stride, n.width, n.dGain + sample * n.width);
    if (n.dBias) sumGroups(own + n.width, groups, stride, n.width, n.dBias + sample * n.width);
  }
}

void layerNormGrad(const NormGradient& gradient, int threads) { normGrad<true>(gradient, threads); }

void rmsNormGrad(const NormGradient& gradient, int threads) { normGrad<false>(gradient, threads); }

}  // namespace stemma::STEMMA_ISA
