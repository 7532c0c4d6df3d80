// Matrix products against sums in double precision, then their speed as a share of the machine's peak.
//   matmul [check | time] [threads] [part of a shape's name]
#include "kernels/matmul.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <vector>

#include "kernels/machine.h"
#include "kernels/parallel.h"
#include "runtime/matrix-unit.h"

using namespace stemma;

namespace stemma::STEMMA_ISA {
void matmul(const Matmul& product, int threads);
double floatPeak(double seconds, int threads);
double bfloat16Peak(double seconds, int threads);
double readBandwidth(double seconds, int threads);
}  // namespace stemma::STEMMA_ISA

namespace kernels = stemma::STEMMA_ISA;

/** Seconds by the clock, for threads that wait for each other are part of the price; of the processor's time for one. */
static clockid_t clockOfTimes = CLOCK_MONOTONIC;

static double now() {
  struct timespec t;
  clock_gettime(clockOfTimes, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static std::vector<float> numbers(int64_t count, uint32_t seed) {
  std::vector<float> x((size_t)count);
  uint32_t state = seed * 2654435761u + 1;
  for (float& value : x) {
    state = state * 1664525u + 1013904223u;
    value = (float)(int32_t)state * (1.0f / 2147483648.0f);
  }
  return x;
}

static float rounded(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  bits = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000u;
  memcpy(&x, &bits, 4);
  return x;
}

struct Shape {
  const char* name;
  int64_t m, n, k;
  bool transposeA, transposeB, accumulate;
};

static Matmul productOf(const Shape& s, const float* a, const float* b, float* out, bool useBfloat16) {
  Matmul p{};
  p.a = a, p.b = b, p.out = out;
  p.batch = 1, p.m = s.m, p.n = s.n, p.k = s.k;
  p.transposeA = s.transposeA, p.transposeB = s.transposeB, p.accumulate = s.accumulate;
  p.useBfloat16 = useBfloat16;
  return p;
}

/** Largest error over all elements, in units of what rounding every term of its sum could do at worst. */
static double errorOf(const Shape& s, bool useBfloat16, int threads) {
  const std::vector<float> a = numbers(s.m * s.k, 1), b = numbers(s.k * s.n, 2), before = numbers(s.m * s.n, 3);
  std::vector<float> out = before;
  kernels::matmul(productOf(s, a.data(), b.data(), out.data(), useBfloat16), threads);
  double worst = 0;
  for (int64_t i = 0; i < s.m; i++) {
    for (int64_t j = 0; j < s.n; j++) {
      double sum = s.accumulate ? before[(size_t)(i * s.n + j)] : 0, size = fabs(sum);
      for (int64_t l = 0; l < s.k; l++) {
        float x = a[(size_t)(s.transposeA ? l * s.m + i : i * s.k + l)];
        float y = b[(size_t)(s.transposeB ? j * s.k + l : l * s.n + j)];
        if (useBfloat16) x = rounded(x), y = rounded(y);
        sum += (double)x * y;
        size += fabs((double)x * y);
      }
      const double error = fabs(out[(size_t)(i * s.n + j)] - sum);
      if (error > 0) worst = std::max(worst, error / (size * 6e-8));
      if (!(error >= 0)) return INFINITY;
    }
  }
  return worst;
}

static int checkAll(int threads) {
  const int64_t sizes[] = {1, 2, 5, 8, 12, 13, 33, 64, 100, 257, 521};
  const int64_t depths[] = {0, 1, 2, 15, 16, 17, 100, 256, 513, 1031};
  uint32_t state = 7;
  auto pick = [&](auto& list) {
    state = state * 1664525u + 1013904223u;
    return list[(state >> 16) % (sizeof list / sizeof list[0])];
  };
  int wrong = 0;
  double worst = 0;
  for (int round = 0; round < 400; round++) {
    Shape s{"", pick(sizes), pick(sizes), pick(depths), (round & 1) != 0, (round & 2) != 0, (round & 4) != 0};
    const bool useBfloat16 = (round & 8) != 0;
    const double error = errorOf(s, useBfloat16, round & 16 ? threads : 1);
    worst = std::max(worst, error);
    if (!(error < 30)) {
      wrong++;
      printf("WRONG m %lld n %lld k %lld transposeA %d transposeB %d accumulate %d bfloat16 %d: error %g\n",
             (long long)s.m, (long long)s.n, (long long)s.k, s.transposeA, s.transposeB, s.accumulate, useBfloat16, error);
    }
  }
  printf("400 products, %d wrong, worst error %.2f ulp of the sum of sizes\n", wrong, worst);
  return wrong;
}

/** Seconds of the fastest call, on memory such as tensors have. */
static double timeOf(const Shape& s, bool useBfloat16, int threads) {
  const kernels::Scratch a((size_t)(s.m * s.k) * 4), b((size_t)(s.k * s.n) * 4), out((size_t)(s.m * s.n) * 4);
  const std::vector<float> x = numbers(s.m * s.k, 1), y = numbers(s.k * s.n, 2);
  std::copy(x.begin(), x.end(), a.floats());
  std::copy(y.begin(), y.end(), b.floats());
  memset(out.bytes(), 0, (size_t)(s.m * s.n) * 4);
  const Matmul p = productOf(s, a.floats(), b.floats(), out.floats(), useBfloat16);
  double best = INFINITY, spent = 0;
  for (int i = 0; i < 3 || (spent < 0.3 && i < 2000); i++) {
    const double start = now();
    kernels::matmul(p, threads);
    const double seconds = now() - start;
    best = std::min(best, seconds);
    spent += seconds;
  }
  return best;
}

/** The highest of many short measurements: what the machine does when nothing else runs. */
static double bestOf(double (*measure)(double seconds, int threads), int threads) {
  double best = 0;
  for (int i = 0; i < 100; i++) best = std::max(best, measure(0.003, threads));
  return best;
}

static void timeAll(int threads, const char* filter) {
  static const Shape shapes[] = {
      {"S qkv", 768, 384, 128, false, true, false},       {"S out", 768, 128, 128, false, true, false},
      {"S up", 768, 512, 128, false, true, false},        {"S down", 768, 128, 512, false, true, false},
      {"S up dX", 768, 128, 512, false, false, false},    {"S up dW", 512, 128, 768, true, false, true},
      {"M qkv", 2048, 1152, 384, false, true, false},     {"M out", 2048, 384, 384, false, true, false},
      {"M up", 2048, 1536, 384, false, true, false},      {"M down", 2048, 384, 1536, false, true, false},
      {"M up dX", 2048, 384, 1536, false, false, false},  {"M down dX", 2048, 1536, 384, false, false, false},
      {"M out dW", 384, 384, 2048, true, false, true},    {"M up dW", 1536, 384, 2048, true, false, true},
      {"M down dW", 384, 1536, 2048, true, false, true},  {"M logits", 1024, 4096, 384, false, true, false},
      {"M head dX", 1024, 384, 4096, false, false, false}, {"M head dW", 4096, 384, 1024, true, false, true},
      {"L qkv", 1024, 2304, 768, false, true, false},     {"L out", 1024, 768, 768, false, true, false},
      {"L up", 1024, 3072, 768, false, true, false},      {"L down", 1024, 768, 3072, false, true, false},
      {"L up dX", 1024, 768, 3072, false, false, false},  {"L up dW", 3072, 768, 1024, true, false, true},
      {"L down dW", 768, 3072, 1024, true, false, true},  {"L logits", 256, 50304, 768, false, true, false},
      {"L head dX", 256, 768, 50304, false, false, false}, {"L head dW", 50304, 768, 256, true, false, true},
      {"prompt up", 256, 3072, 768, false, true, false},  {"prompt down", 256, 768, 3072, false, true, false},
      {"m = 1", 1, 3072, 768, false, true, false},        {"m = 2", 2, 3072, 768, false, true, false},
      {"m = 4", 4, 3072, 768, false, true, false},        {"m = 8", 8, 3072, 768, false, true, false},
      {"m = 1 head", 1, 50304, 768, false, true, false},  {"m = 8 head", 8, 50304, 768, false, true, false},
      {"m = 1 rows", 1, 50304, 768, false, false, false}, {"m = 8 rows", 8, 50304, 768, false, false, false},
      {"m = 1 tall", 1, 768, 50304, false, false, false}, {"m = 12", 12, 3072, 768, false, true, false},
      {"m = 16", 16, 3072, 768, false, true, false},      {"m = 48", 48, 3072, 768, false, true, false},
      {"square", 1024, 1024, 1024, false, false, false},
  };
  const double peaks[] = {bestOf(kernels::floatPeak, threads), bestOf(kernels::bfloat16Peak, threads)};
  printf("%d threads; peak %.0f GFLOP/s float32, %.0f bfloat16; %.1f GB/s from memory\n", threads, peaks[0] / 1e9,
         peaks[1] / 1e9, kernels::readBandwidth(0.3, threads) / 1e9);
  for (const Shape& s : shapes) {
    if (!strstr(s.name, filter)) continue;
    printf("%-12s %5lld %5lld %5lld %s%s", s.name, (long long)s.m, (long long)s.n, (long long)s.k, s.transposeA ? "T" : "N",
           s.transposeB ? "T" : "N");
    for (int bfloat16 = 0; bfloat16 < 2; bfloat16++) {
      const double seconds = timeOf(s, bfloat16 != 0, threads), rate = 2.0 * (double)(s.m * s.n * s.k) / seconds;
      printf("  %s %8.0f us %5.0f GFLOP/s %3.0f %%", bfloat16 ? "bf16" : "f32", seconds * 1e6, rate / 1e9,
             100 * rate / peaks[bfloat16]);
      if (s.m <= 16) printf(" %4.1f GB/s of b", 4e-9 * (double)(s.k * s.n) / seconds);
    }
    printf("\n");
    fflush(stdout);
  }
}

int main(int count, char** arguments) {
  mayUseMatrixUnit();
  const char* what = count > 1 ? arguments[1] : "";
  const int threads = count > 2 ? atoi(arguments[2]) : 2;
  if (threads == 1) clockOfTimes = CLOCK_PROCESS_CPUTIME_ID;
  if (strcmp(what, "time") != 0 && checkAll(threads) > 0) return 1;
  if (strcmp(what, "check") != 0) timeAll(threads, count > 3 ? arguments[3] : "");
  return 0;
}
