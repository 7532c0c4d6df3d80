#include "kernels/convolution.h"

#include "kernels/matmul-packed.h"
#include "kernels/parallel.h"
#include "kernels/patches.h"
#include "kernels/vector.h"

/** Convolutions as matrix products with patches, which are packed into panels straight from the pictures. */
namespace stemma::STEMMA_ISA {

namespace {

/** Multiply-adds below which waking another thread costs more than it saves. */
constexpr int64_t kWorthSharing = 400'000;

constexpr int64_t divideUp(int64_t x, int64_t by) { return x > 0 ? (x + by - 1) / by : 0; }

void product(const Matmul& p, int threads) {
  if (p.m == 0 || p.n == 0) return;
  packedProducts(&p, 1, p.m * p.n * (p.k + 1) < kWorthSharing ? 1 : threads);
}

/** What the filters see of x. */
Patches patchesOf(const ConvolutionShape& s, const float* x) {
  return {x,         s.height,  s.width, s.channels, s.outHeight, s.outWidth,
          s.tapColumns, s.stride, -s.top,  -s.left};
}

/**
 * Along one axis, the places of a picture that are ≡ `phase` modulo the stride: which taps reach them, and from where. Tap
 * first + stride · t meets place stride · j + phase at result j + shift − t.
 */
struct Phase {
  int64_t places, first, taps, shift;
  Phase(int64_t phase, int64_t length, int64_t before, int64_t allTaps, int64_t stride)
      : places(divideUp(length - phase, stride)),
        first((phase + before) % stride),
        taps(divideUp(allTaps - first, stride)),
        shift((phase + before) / stride) {}
};

/** The taps of two phases, last first, as the right operand of a product: [taps, outChannels, channels]. */
void turnWeights(const ConvolutionShape& s, const float* weight, const Phase& y, const Phase& x, float* to, int threads) {
  parallelRows(threads, y.taps * x.taps * s.outChannels, s.channels, [&](int64_t row) {
    const int64_t tap = row / s.outChannels, o = row % s.outChannels;
    const int64_t tapRow = y.first + s.stride * (y.taps - 1 - tap / x.taps);
    const int64_t tapColumn = x.first + s.stride * (x.taps - 1 - tap % x.taps);
    const float* from = weight + ((o * s.tapRows + tapRow) * s.tapColumns + tapColumn) * s.channels;
    memcpy(to + row * s.channels, from, (size_t)s.channels * sizeof(float));
  });
}

/** Puts the pixels of a phase in their places, or adds them; without `from`, zeros. */
void spreadPhase(const ConvolutionGradient& g, int64_t phaseY, int64_t phaseX, const Phase& y, const Phase& x,
                 const float* from, int threads) {
  const ConvolutionShape& s = g.shape;
  parallelRows(threads, s.batch * y.places, x.places * s.channels, [&](int64_t row) {
    const int64_t picture = row / y.places, atY = row % y.places * s.stride + phaseY;
    for (int64_t j = 0; j < x.places; j++) {
      float* to = g.out + ((picture * s.height + atY) * s.width + j * s.stride + phaseX) * s.channels;
      const float* own = from ? from + (row * x.places + j) * s.channels : nullptr;
      forVectors(s.channels, [&](int64_t i, int64_t some) STEMMA_EXPANDED {
        const Vec value = own ? loadSome(own + i, some) : Vec{};
        storeSome(to + i, g.accumulate ? loadSome(to + i, some) + value : value, some);
      });
    }
  });
}

/** The gradient of the pixels of one phase: a convolution of dy with the taps that reach them. */
void gradientOfPhase(const ConvolutionGradient& g, int64_t phaseY, int64_t phaseX, int threads) {
  const ConvolutionShape& s = g.shape;
  const Phase y(phaseY, s.height, s.top, s.tapRows, s.stride), x(phaseX, s.width, s.left, s.tapColumns, s.stride);
  const int64_t places = s.batch * y.places * x.places, taps = y.taps * x.taps;
  if (places == 0) return;
  if (taps == 0 || s.outChannels == 0) return spreadPhase(g, phaseY, phaseX, y, x, nullptr, threads);
  const Scratch weights((size_t)(taps * s.outChannels * s.channels) * sizeof(float));
  turnWeights(s, g.other, y, x, weights.floats(), threads);
  const Patches patches{g.dy, s.outHeight, s.outWidth, s.outChannels, y.places, x.places,
                        x.taps, 1, y.shift - (y.taps - 1), x.shift - (x.taps - 1)};
  Matmul p{};
  p.patchesA = &patches;
  p.b = weights.floats();
  p.batch = 1;
  p.m = places;
  p.n = s.channels;
  p.k = taps * s.outChannels;
  p.useBfloat16 = s.useBfloat16;
  if (s.stride == 1) {
    p.out = g.out;
    p.accumulate = g.accumulate;
    return product(p, threads);
  }
  const Scratch pixels((size_t)(places * s.channels) * sizeof(float));
  p.out = pixels.floats();
  product(p, threads);
  spreadPhase(g, phaseY, phaseX, y, x, pixels.floats(), threads);
}

}  // namespace

void convolution(const Convolution& c, int threads) {
  const ConvolutionShape& s = c.shape;
  const Patches patches = patchesOf(s, c.x);
  Matmul p{};
  p.patchesA = &patches;
  p.b = c.weight;
  p.out = c.out;
  p.batch = 1;
  p.m = s.batch * s.outHeight * s.outWidth;
  p.n = s.outChannels;
  p.k = s.tapRows * s.tapColumns * s.channels;
  p.transposeB = true;
  p.useBfloat16 = s.useBfloat16;
  p.bias = c.bias;
  p.activation = c.activation;
  p.preActivation = c.preActivation;
  product(p, threads);
}

void convolutionInputGrad(const ConvolutionGradient& g, int threads) {
  const ConvolutionShape& s = g.shape;
  if (s.batch == 0 || s.height == 0 || s.width == 0) return;
  // A stride may be longer than the picture, whose places are then a phase each.
  for (int64_t y = 0; y < s.stride && y < s.height; y++) {
    for (int64_t x = 0; x < s.stride && x < s.width; x++) gradientOfPhase(g, y, x, threads);
  }
}

void convolutionWeightGrad(const ConvolutionGradient& g, int threads) {
  const ConvolutionShape& s = g.shape;
  const Patches patches = patchesOf(s, g.other);
  Matmul p{};
  p.a = g.dy;
  p.patchesB = &patches;
  p.out = g.out;
  p.batch = 1;
  p.m = s.outChannels;
  p.n = s.tapRows * s.tapColumns * s.channels;
  p.k = s.batch * s.outHeight * s.outWidth;
  p.transposeA = true;
  p.useBfloat16 = s.useBfloat16;
  p.accumulate = g.accumulate;
  product(p, threads);
}

}  // namespace stemma::STEMMA_ISA
