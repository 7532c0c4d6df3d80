#include "kernels/parallel.h"
#include "kernels/unary-functions.h"

namespace stemma::STEMMA_ISA {

/** Elements that one task takes: enough to outweigh handing it over, and a share of the first-level cache. */
constexpr int64_t kGrain = 4096;

/** out[i] = f(x[i]); out may be x. */
void unary(UnaryKind kind, const float* x, float* out, int64_t length, int threads) {
  withUnaryKind(kind, [&](auto tag) {
    parallelRange(threads, length, kGrain, [&](int64_t begin, int64_t end) {
      forVectors(end - begin, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
        storeSome(out + begin + i, valueOf<decltype(tag)::kind>(loadSome(x + begin + i, count)), count);
      });
    });
  });
}

/** dx[i] = dy[i] · f′(x[i]); dx may be x or dy. */
void unaryGrad(UnaryKind kind, const float* x, const float* dy, float* dx, int64_t length, int threads) {
  withUnaryKind(kind, [&](auto tag) {
    parallelRange(threads, length, kGrain, [&](int64_t begin, int64_t end) {
      forVectors(end - begin, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
        Vec slope = slopeOf<decltype(tag)::kind>(loadSome(x + begin + i, count));
        storeSome(dx + begin + i, loadSome(dy + begin + i, count) * slope, count);
      });
    });
  });
}

/** out[row] = f(gate[row]) ⊙ value[row], where a row of x is gate then value, each of `width`. */
void gatedUnit(UnaryKind kind, const float* x, float* out, int64_t rows, int64_t width, int threads) {
  withUnaryKind(kind, [&](auto tag) {
    parallelRows(threads, rows, 2 * width, [&](int64_t row) {
      const float* gate = x + row * 2 * width;
      forVectors(width, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
        Vec activated = valueOf<decltype(tag)::kind>(loadSome(gate + i, count));
        storeSome(out + row * width + i, activated * loadSome(gate + width + i, count), count);
      });
    });
  });
}

/** dx = [dy ⊙ value ⊙ f′(gate), dy ⊙ f(gate)]; dx may be x. */
void gatedUnitGrad(UnaryKind kind, const float* x, const float* dy, float* dx, int64_t rows, int64_t width,
                   int threads) {
  withUnaryKind(kind, [&](auto tag) {
    parallelRows(threads, rows, 2 * width, [&](int64_t row) {
      const float* gate = x + row * 2 * width;
      float* dGate = dx + row * 2 * width;
      forVectors(width, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
        Vec g = loadSome(gate + i, count), value = loadSome(gate + width + i, count);
        Vec d = loadSome(dy + row * width + i, count);
        storeSome(dGate + i, d * value * slopeOf<decltype(tag)::kind>(g), count);
        storeSome(dGate + width + i, d * valueOf<decltype(tag)::kind>(g), count);
      });
    });
  });
}

}  // namespace stemma::STEMMA_ISA
