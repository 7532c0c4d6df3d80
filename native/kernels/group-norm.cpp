#include "kernels/group-norm.h"

#include <math.h>

#include "kernels/activations.h"
#include "kernels/parallel.h"

/**
 * Group normalisation of pictures whose channels lie side by side. Groups do not depend on each other, so a task is some
 * neighbouring groups of one sample, wide enough to read whole lines of memory; it passes over its channels as columns.
 */
namespace stemma::STEMMA_ISA {

namespace {

/** Channels that a task takes at least. */
constexpr int64_t kTaskChannels = 32;

/** Some groups of one sample. */
struct Slab {
  int64_t sample, firstGroup, groups;
  /** First of its channels, how many, and how many a group has. */
  int64_t channel, channels, each;
  /** Of its first element in x. */
  int64_t start;
};

template <class Body>
void forSlabs(const GroupNormShape& shape, int threads, Body&& body) {
  const int64_t each = shape.channels / shape.groups;
  const int64_t atOnce = (kTaskChannels + each - 1) / each, slabs = (shape.groups + atOnce - 1) / atOnce;
  parallel(threads, shape.batch * slabs, [&](int64_t task, int) {
    const int64_t sample = task / slabs, first = task % slabs * atOnce;
    const int64_t groups = first + atOnce < shape.groups ? atOnce : shape.groups - first;
    const int64_t channel = first * each;
    body(Slab{sample, first, groups, channel, groups * each, each,
              sample * shape.positions * shape.channels + channel});
  });
}

/** Numbers for each channel of a slab. */
struct Columns {
  explicit Columns(int64_t channels) : memory((size_t)channels * sizeof(float)), data(memory.floats()) {
    memset(data, 0, (size_t)channels * sizeof(float));
  }
  Scratch memory;
  float* const data;
};

/** The same number for each channel of a group. */
void spread(const Slab& slab, float* columns, int64_t group, float value) {
  for (int64_t c = 0; c < slab.each; c++) columns[group * slab.each + c] = value;
}

/** Sum of a group's columns, in order. */
double sumOf(const Slab& slab, const float* columns, int64_t group) {
  double sum = 0;
  for (int64_t c = 0; c < slab.each; c++) sum += columns[group * slab.each + c];
  return sum;
}

/** Mean and 1/√(variance + ε) of the groups of a slab, as columns and in their places. */
void statistics(const GroupNorm& n, const Slab& slab, float* mean, float* rstd) {
  const GroupNormShape& shape = n.shape;
  const double count = (double)(shape.positions * slab.each);
  const int64_t at = slab.sample * shape.groups + slab.firstGroup;
  const Columns sums(slab.channels), squares(slab.channels);
  for (int64_t p = 0; p < shape.positions; p++) {
    const float* row = n.x + slab.start + p * shape.channels;
    forVectors(slab.channels, [&](int64_t i, int64_t some) STEMMA_EXPANDED {
      storeSome(sums.data + i, loadSome(sums.data + i, some) + loadSome(row + i, some), some);
    });
  }
  for (int64_t g = 0; g < slab.groups; g++) {
    n.mean[at + g] = (float)(sumOf(slab, sums.data, g) / count);
    spread(slab, mean, g, n.mean[at + g]);
  }
  for (int64_t p = 0; p < shape.positions; p++) {
    const float* row = n.x + slab.start + p * shape.channels;
    forVectors(slab.channels, [&](int64_t i, int64_t some) STEMMA_EXPANDED {
      const Vec d = loadSome(row + i, some) - loadSome(mean + i, some);
      storeSome(squares.data + i, fma(d, d, loadSome(squares.data + i, some)), some);
    });
  }
  for (int64_t g = 0; g < slab.groups; g++) {
    n.rstd[at + g] = 1.0f / sqrtf((float)(sumOf(slab, squares.data, g) / count) + n.epsilon);
    spread(slab, rstd, g, n.rstd[at + g]);
  }
}

/** dy before the activation: of SiLU at z. */
template <bool kSilu>
STEMMA_INLINE Vec before(Vec dy, Vec z) {
  if constexpr (!kSilu) return dy;
  const Vec s = sigmoid(z);
  return dy * s * fma(z, 1.0f - s, broadcast(1.0f));
}

template <bool kSilu>
void normalise(const GroupNorm& n, int threads) {
  forSlabs(n.shape, threads, [&](const Slab& slab) {
    const Columns mean(slab.channels), rstd(slab.channels);
    statistics(n, slab, mean.data, rstd.data);
    for (int64_t p = 0; p < n.shape.positions; p++) {
      const int64_t at = slab.start + p * n.shape.channels;
      forVectors(slab.channels, [&](int64_t i, int64_t some) STEMMA_EXPANDED {
        const Vec normal = (loadSome(n.x + at + i, some) - loadSome(mean.data + i, some)) * loadSome(rstd.data + i, some);
        const int64_t c = slab.channel + i;
        const Vec z = fma(normal, loadSome(n.gain + c, some), loadSome(n.bias + c, some));
        storeSome(n.out + at + i, kSilu ? silu(z) : z, some);
      });
    }
  });
}

/**
 * With n = (x − mean) · rstd, z = n ⊙ gain + bias and dz = dy ⊙ f′(z): dx = rstd · (dz ⊙ gain − mean(dz ⊙ gain) − n ·
 * mean(dz ⊙ gain ⊙ n)), means over a group; dGain = Σ dz ⊙ n and dBias = Σ dz are left, sample by sample, in `sums`
 * [batch, 2, channels].
 */
template <bool kSilu>
void gradient(const GroupNormGradient& n, const Slab& slab, float* sums) {
  const int64_t channels = n.shape.channels;
  const Columns mean(slab.channels), rstd(slab.channels), centre(slab.channels), slope(slab.channels);
  float* const products = sums + slab.sample * 2 * channels + slab.channel;
  float* const totals = products + channels;
  memset(products, 0, (size_t)slab.channels * sizeof(float));
  memset(totals, 0, (size_t)slab.channels * sizeof(float));
  const int64_t first = slab.sample * n.shape.groups + slab.firstGroup;
  for (int64_t g = 0; g < slab.groups; g++) {
    spread(slab, mean.data, g, n.mean[first + g]);
    spread(slab, rstd.data, g, n.rstd[first + g]);
  }
  const auto forElements = [&](auto&& body) STEMMA_EXPANDED {
    for (int64_t p = 0; p < n.shape.positions; p++) {
      const int64_t at = slab.start + p * channels;
      forVectors(slab.channels, [&](int64_t i, int64_t some) STEMMA_EXPANDED {
        const Vec normal = (loadSome(n.x + at + i, some) - loadSome(mean.data + i, some)) * loadSome(rstd.data + i, some);
        const Vec gain = loadSome(n.gain + slab.channel + i, some);
        const Vec z = fma(normal, gain, loadSome(n.bias + slab.channel + i, some));
        body(at + i, i, some, normal, gain, before<kSilu>(loadSome(n.dy + at + i, some), z));
      });
    }
  };
  forElements([&](int64_t, int64_t i, int64_t some, Vec normal, Vec, Vec dz) STEMMA_EXPANDED {
    storeSome(products + i, fma(dz, normal, loadSome(products + i, some)), some);
    storeSome(totals + i, loadSome(totals + i, some) + dz, some);
  });
  const double count = (double)(n.shape.positions * slab.each);
  for (int64_t g = 0; g < slab.groups; g++) {
    double total = 0, product = 0;
    for (int64_t c = g * slab.each; c < (g + 1) * slab.each; c++) {
      total += (double)n.gain[slab.channel + c] * totals[c];
      product += (double)n.gain[slab.channel + c] * products[c];
    }
    spread(slab, centre.data, g, (float)(total / count));
    spread(slab, slope.data, g, (float)(product / count));
  }
  forElements([&](int64_t at, int64_t i, int64_t some, Vec normal, Vec gain, Vec dz) STEMMA_EXPANDED {
    const Vec inner = fma(dz, gain, -loadSome(centre.data + i, some)) - normal * loadSome(slope.data + i, some);
    Vec d = inner * loadSome(rstd.data + i, some);
    if (n.residual) d += loadSome(n.residual + at, some);
    storeSome(n.dx + at, d, some);
  });
}

/** out = Σ over samples of rows that lie 2 · channels apart, in order. */
void sumSamples(const float* rows, const GroupNormShape& shape, float* out) {
  memset(out, 0, (size_t)shape.channels * sizeof(float));
  for (int64_t sample = 0; sample < shape.batch; sample++) {
    forVectors(shape.channels, [&](int64_t i, int64_t some) STEMMA_EXPANDED {
      storeSome(out + i, loadSome(out + i, some) + loadSome(rows + sample * 2 * shape.channels + i, some), some);
    });
  }
}

}  // namespace

void groupNorm(const GroupNorm& n, int threads) {
  if (n.shape.silu) normalise<true>(n, threads);
  else normalise<false>(n, threads);
}

void groupNormGrad(const GroupNormGradient& n, int threads) {
  const Scratch memory((size_t)(n.shape.batch * 2 * n.shape.channels + 1) * sizeof(float));
  float* const sums = memory.floats();
  forSlabs(n.shape, threads, [&](const Slab& slab) {
    if (n.shape.silu) gradient<true>(n, slab, sums);
    else gradient<false>(n, slab, sums);
  });
  if (n.dGain) sumSamples(sums, n.shape, n.dGain);
  if (n.dBias) sumSamples(sums + n.shape.channels, n.shape, n.dBias);
}

}  // namespace stemma::STEMMA_ISA
