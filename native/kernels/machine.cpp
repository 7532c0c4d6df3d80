#include "kernels/machine.h"

#include <time.h>

#include "kernels/parallel.h"
#include "kernels/square.h"

namespace stemma::STEMMA_ISA {

namespace {

double now() {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/** Enough independent chains to fill every multiply-add unit, and few enough to stay in registers. */
constexpr int kChains = STEMMA_VECTOR_BYTES == 64 ? 24 : 12;
constexpr int kRounds = 2000;

/** Operations of multiplyAddFloats; those of multiplyAddBfloat16 stand beside it. */
constexpr double kFloatOperations = 2.0 * kLanes * kChains * kRounds;

/** Keeps a value, and all it was computed from, alive for the compiler. */
STEMMA_INLINE void keep(Vec x) { asm volatile("" : : "m"(x)); }

void multiplyAddFloats() {
  volatile float one = 1.0f;
  const Vec factor = broadcast(one), term = broadcast(one * 1e-9f);
  Vec sums[kChains];
#pragma GCC unroll 32
  for (int i = 0; i < kChains; i++) sums[i] = broadcast((float)i);
  for (int round = 0; round < kRounds; round++) {
#pragma GCC unroll 32
    for (int i = 0; i < kChains; i++) sums[i] = fma(sums[i], factor, term);
  }
#pragma GCC unroll 32
  for (int i = 0; i < kChains; i++) keep(sums[i]);
}

#if defined(STEMMA_SQUARES)
void multiplyAddBfloat16() {
  const SquareUnit unit;
  squaresPeak(kRounds);
}
constexpr double kBfloat16Operations = 4.0 * kSquare * kSquare * kSquare * kPeakSquares * kRounds;
#elif defined(__AVX512BF16__)
void multiplyAddBfloat16() {
  volatile float one = 1.0f;
  const __m512bh factor = (__m512bh)_mm512_set1_ps(one);
  Vec sums[kChains];
#pragma GCC unroll 32
  for (int i = 0; i < kChains; i++) sums[i] = broadcast((float)i);
  for (int round = 0; round < kRounds; round++) {
#pragma GCC unroll 32
    for (int i = 0; i < kChains; i++) sums[i] = (Vec)_mm512_dpbf16_ps((__m512)sums[i], factor, factor);
  }
#pragma GCC unroll 32
  for (int i = 0; i < kChains; i++) keep(sums[i]);
}
constexpr double kBfloat16Operations = 4.0 * kLanes * kChains * kRounds;
#else
void multiplyAddBfloat16() { multiplyAddFloats(); }
constexpr double kBfloat16Operations = kFloatOperations;
#endif

/** Operations per second over all threads, for a `body` that does `operations` of them. */
double rate(double seconds, int threads, double operations, void (*body)()) {
  int64_t calls[512] = {};
  const double start = now();
  parallel(threads, threads, [&](int64_t task, int) {
    while (now() - start < seconds) {
      for (int i = 0; i < 16; i++) body();
      calls[task] += 16;
    }
  });
  const double elapsed = now() - start;
  int64_t total = 0;
  for (int i = 0; i < threads; i++) total += calls[i];
  return (double)total * operations / elapsed;
}

}  // namespace

double floatPeak(double seconds, int threads) { return rate(seconds, threads, kFloatOperations, multiplyAddFloats); }

double bfloat16Peak(double seconds, int threads) {
  return rate(seconds, threads, kBfloat16Operations, multiplyAddBfloat16);
}

double readBandwidth(double seconds, int threads) {
  constexpr int64_t kPieces = 384, kPieceFloats = (int64_t)1 << 19;
  Scratch memory((size_t)(kPieces * kPieceFloats) * 4);
  float* const data = memory.floats();
  parallel(threads, kPieces, [&](int64_t piece, int) { memset(data + piece * kPieceFloats, 0, kPieceFloats * 4); });
  double best = 0;
  const double start = now();
  do {
    const double begin = now();
    parallel(threads, kPieces, [&](int64_t piece, int) {
      const float* from = data + piece * kPieceFloats;
      Vec sums[4] = {};
      for (int64_t i = 0; i < kPieceFloats; i += 4 * kLanes) {
        for (int j = 0; j < 4; j++) sums[j] += load(from + i + j * kLanes);
      }
      keep(sums[0] + sums[1] + sums[2] + sums[3]);
    });
    const double speed = (double)(kPieces * kPieceFloats) * 4 / (now() - begin);
    if (speed > best) best = speed;
  } while (now() - start < seconds);
  return best;
}

}  // namespace stemma::STEMMA_ISA
