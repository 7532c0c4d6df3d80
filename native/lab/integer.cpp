// Products with blocks of weights: a row alone must give the bits that it gives among others; then speed, beside that of
// products with what blocks decode to.
//   integer [check | time] [threads] [part of a format's name]
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <vector>

#include "kernels/matmul.h"
#include "kernels/parallel.h"
#include "runtime/matrix-unit.h"

using namespace stemma;

namespace stemma::STEMMA_ISA {
void matmul(const Matmul& product, int threads);
}  // namespace stemma::STEMMA_ISA

namespace kernels = stemma::STEMMA_ISA;

struct Named {
  const char* name;
  WeightFormat format;
  /** Bytes of a block that are the upper ones of float16 scales. */
  std::vector<int> scales;
};

static const Named formats[] = {
    {"q8_0", WeightFormat::q8_0, {1}},    {"q4_0", WeightFormat::q4_0, {1}},    {"q4_1", WeightFormat::q4_1, {1, 3}},
    {"q5_0", WeightFormat::q5_0, {1}},    {"q5_1", WeightFormat::q5_1, {1, 3}}, {"q4_k", WeightFormat::q4_k, {1, 3}},
    {"q5_k", WeightFormat::q5_k, {1, 3}}, {"q6_k", WeightFormat::q6_k, {209}},
};

/** Time of all threads: a busy machine matters less to it than to a clock. */
static double now() {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint32_t next(uint32_t& state) { return state = state * 1664525u + 1013904223u; }

static std::vector<float> numbers(int64_t count) {
  std::vector<float> x((size_t)count);
  uint32_t state = 7;
  for (float& value : x) value = (float)(int32_t)next(state) * (1.0f / 2147483648.0f);
  return x;
}

/** Any bytes are blocks, once their scales are about 2⁻⁷. */
static std::vector<uint8_t> blocks(const Named& of, int64_t count) {
  std::vector<uint8_t> bytes((size_t)bytesOf(of.format, count));
  uint32_t state = 11;
  for (uint8_t& byte : bytes) byte = (uint8_t)(next(state) >> 24);
  const int64_t each = blockBytes(of.format);
  for (size_t at = 0; at < bytes.size(); at += (size_t)each) {
    for (int scale : of.scales) bytes[at + (size_t)scale] = 0x20;
  }
  return bytes;
}

static Matmul productOf(const Named& of, const float* a, const void* b, float* out, int64_t m, int64_t n, int64_t k) {
  Matmul p{};
  p.a = a, p.b = b, p.out = out;
  p.batch = 1, p.m = m, p.n = n, p.k = k;
  p.transposeB = true, p.roundsRows = true;
  p.weights = of.format;
  return p;
}

static int check(const Named& of, int threads) {
  const int64_t m = 37, n = 83, k = 768;
  const std::vector<float> a = numbers(m * k);
  const std::vector<uint8_t> b = blocks(of, n * k);
  std::vector<float> all((size_t)(m * n)), exact = all, one = all;
  kernels::matmul(productOf(of, a.data(), b.data(), all.data(), m, n, k), threads);
  Matmul decoded = productOf(of, a.data(), b.data(), exact.data(), m, n, k);
  decoded.roundsRows = false;
  kernels::matmul(decoded, threads);
  double error = 0, size = 0;
  for (size_t i = 0; i < all.size(); i++) error += pow(all[i] - exact[i], 2), size += pow(exact[i], 2);
  int wrong = 0;
  for (int64_t count : {1, 2, 3, 8}) {
    kernels::matmul(productOf(of, a.data() + 16 * k, b.data(), one.data(), count, n, k), threads);
    wrong += memcmp(one.data(), all.data() + 16 * n, (size_t)(count * n) * 4) != 0;
  }
  const double relative = sqrt(error / size);
  printf("%s: rounding rows makes %.4f of the product's size, %d times other bits\n", of.name, relative, wrong);
  return wrong + !(relative < 0.02);
}

static double timeOf(const Matmul& p, int threads) {
  double best = INFINITY, spent = 0;
  for (int i = 0; i < 3 || (spent < 0.1 && i < 500); i++) {
    const double start = now();
    kernels::matmul(p, threads);
    const double seconds = now() - start;
    best = std::min(best, seconds);
    spent += seconds;
  }
  return best;
}

static void time(const Named& of, int threads) {
  static const int64_t shapes[][3] = {{1, 3072, 768},  {2, 3072, 768},  {3, 3072, 768},   {4, 3072, 768},  {8, 3072, 768},
                                      {16, 3072, 768}, {64, 3072, 768}, {256, 3072, 768}, {256, 768, 3072}, {256, 192, 768}};
  for (const auto& [m, n, k] : shapes) {
    const kernels::Scratch a((size_t)(m * k) * 4), b((size_t)bytesOf(of.format, n * k)), out((size_t)(m * n) * 4);
    const std::vector<float> x = numbers(m * k);
    const std::vector<uint8_t> y = blocks(of, n * k);
    std::copy(x.begin(), x.end(), a.floats());
    std::copy(y.begin(), y.end(), (uint8_t*)b.bytes());
    Matmul p = productOf(of, a.floats(), b.bytes(), out.floats(), m, n, k);
    const double integers = timeOf(p, threads);
    p.roundsRows = false;
    const double decoded = timeOf(p, threads);
    printf("%s %4lld %5lld %5lld  %8.1f us %6.1f G multiply-adds/s  decoded %8.1f us  %.2f x\n", of.name, (long long)m, (long long)n,
           (long long)k, integers * 1e6, 1e-9 * (double)(m * n * k) / integers, decoded * 1e6, decoded / integers);
    fflush(stdout);
  }
}

int main(int count, char** arguments) {
  const char* what = count > 1 ? arguments[1] : "";
  const int threads = count > 2 ? atoi(arguments[2]) : 1;
  const char* filter = count > 3 ? arguments[3] : "";
  int wrong = 0;
  mayUseMatrixUnit();
  for (const Named& of : formats) {
    if (!strstr(of.name, filter)) continue;
    if (strcmp(what, "time") != 0) wrong += check(of, threads);
    if (strcmp(what, "check") != 0) time(of, threads);
  }
  return wrong > 0;
}
