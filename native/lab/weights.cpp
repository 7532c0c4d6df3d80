// Products with weights in every format, decoding and storing, against the same computed number by number in double
// precision. Numbers are such that rounding rows of activations has no ties: what is compared is the kernels' arithmetic.
//   weights [threads]
#include "kernels/matmul.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <vector>

#include "runtime/weight-format.h"

using namespace stemma;

namespace stemma::STEMMA_ISA {
void matmul(const Matmul& product, int threads);
void decode(WeightFormat format, const void* from, float* out, int64_t length, int threads);
void gatherRows(WeightFormat format, const void* table, const int32_t* ids, float* out, int64_t rows, int64_t width, int threads);
void setRows(WeightFormat format, const float* from, const int32_t* ids, void* table, int64_t rows, int64_t width, int threads);
}  // namespace stemma::STEMMA_ISA

namespace kernels = stemma::STEMMA_ISA;

typedef std::vector<uint8_t> Bytes;

static uint32_t state = 12345;
static uint32_t word() { return state = state * 1664525u + 1013904223u, state >> 8; }

/** The number of float16 bits. */
static double half(const uint8_t* from) {
  const int bits = from[0] | from[1] << 8, exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double size = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
  return bits & 0x8000 ? -size : size;
}

/** The nearest number of `digits` binary digits, ties to even; below 2^lowest there are fewer. */
static double nearest(double x, int digits, int lowest) {
  int exponent;
  frexp(x, &exponent);
  const int last = std::max(exponent, lowest + 1) - digits;
  return ldexp(nearbyint(ldexp(x, -last)), last);
}
static double nearestHalf(double x) { return nearest(x, 11, -14); }

/** Scale and minimum of run `run` of a `q4_k` or `q5_k`, as ggml packs them. */
static void sixBits(const uint8_t* q, int run, int& scale, int& minimum) {
  scale = run < 4 ? q[run] & 63 : (q[run + 4] & 15) | q[run - 4] >> 6 << 4;
  minimum = run < 4 ? q[run + 4] & 63 : q[run + 4] >> 4 | q[run] >> 6 << 4;
}

/** A number as factor · integer + minimum: activations meet the two parts in different precision. */
struct Parts {
  double scaled, minimum;
};

/** Number i of a block. */
static Parts partsOf(WeightFormat format, const uint8_t* b, int i) {
  const int nibble = i % 32 < 16 ? 0 : 4, place = i % 16;
  switch (format) {
    case WeightFormat::q8_0: return {half(b) * (int8_t)b[2 + i], 0};
    case WeightFormat::q4_0: return {half(b) * ((b[2 + place] >> nibble & 15) - 8), 0};
    case WeightFormat::q4_1: return {half(b) * (b[4 + place] >> nibble & 15), half(b + 2)};
    case WeightFormat::q5_0: {
      const int fifth = b[2 + i / 8] >> i % 8 & 1;
      return {half(b) * ((b[6 + place] >> nibble & 15) + 16 * fifth - 16), 0};
    }
    case WeightFormat::q5_1: {
      const int fifth = b[4 + i / 8] >> i % 8 & 1;
      return {half(b) * ((b[8 + place] >> nibble & 15) + 16 * fifth), half(b + 2)};
    }
    case WeightFormat::q4_k:
    case WeightFormat::q5_k: {
      int scale, minimum;
      const int run = i / 32;
      sixBits(b + 4, run, scale, minimum);
      const int quantsAt = format == WeightFormat::q4_k ? 16 : 48;
      int quant = b[quantsAt + run / 2 * 32 + i % 32] >> run % 2 * 4 & 15;
      if (format == WeightFormat::q5_k) quant += (b[16 + i % 32] >> run & 1) * 16;
      return {half(b) * scale * quant, -half(b + 2) * minimum};
    }
    case WeightFormat::q6_k: {
      const int part = i / 128, quarter = i % 128 / 32, l = i % 32;
      const int low = b[part * 64 + quarter % 2 * 32 + l] >> (quarter < 2 ? 0 : 4) & 15;
      const int high = b[128 + part * 32 + l] >> 2 * quarter & 3;
      return {half(b + 208) * (int8_t)b[192 + i / 16] * (low + 16 * high - 32), 0};
    }
    case WeightFormat::float16: return {half(b), 0};
    case WeightFormat::bfloat16: {
      const uint32_t bits = (uint32_t)(b[0] | b[1] << 8) << 16;
      float x;
      memcpy(&x, &bits, 4);
      return {x, 0};
    }
    default: {
      float x;
      memcpy(&x, b, 4);
      return {x, 0};
    }
  }
}

static Parts partsAt(WeightFormat format, const Bytes& raw, int64_t at) {
  const int64_t block = blockLength(format);
  return partsOf(format, raw.data() + at / block * blockBytes(format), (int)(at % block));
}

static double numberAt(WeightFormat format, const Bytes& raw, int64_t at) {
  const Parts parts = partsAt(format, raw, at);
  return parts.scaled + parts.minimum;
}

/** Random blocks whose scales are of middling size, some of either sign and some below the normal range. */
static Bytes weightsOf(WeightFormat format, int64_t count) {
  Bytes raw((size_t)bytesOf(format, count));
  for (uint8_t& byte : raw) byte = (uint8_t)word();
  for (int64_t at = 0; at < (int64_t)raw.size(); at += blockBytes(format)) {
    const auto setHalf = [&](int64_t place) {
      const uint32_t bits = word();
      raw[(size_t)(at + place)] = (uint8_t)bits;
      raw[(size_t)(at + place + 1)] = (uint8_t)((bits >> 8 & 0x80) | (bits >> 16) % 0x30);
    };
    const auto setFloat = [&](float x, int bytes) {
      uint32_t bits;
      memcpy(&bits, &x, 4);
      for (int i = 0; i < bytes; i++) raw[(size_t)(at + i)] = (uint8_t)(bits >> (32 - 8 * bytes + 8 * i));
    };
    const float x = (float)(int32_t)(word() << 8) / 2147483648.0f;
    if (format == WeightFormat::float32) setFloat(x, 4);
    else if (format == WeightFormat::bfloat16) setFloat(x, 2);
    else if (format == WeightFormat::q6_k) setHalf(208);
    else setHalf(0);
    const bool hasMinimum = format == WeightFormat::q4_1 || format == WeightFormat::q5_1 ||
                            format == WeightFormat::q4_k || format == WeightFormat::q5_k;
    if (hasMinimum) setHalf(2);
  }
  return raw;
}

/** Activations that are small integers times a power of two for each 32, ±127 among them: rounding leaves them alone. */
static std::vector<float> activationsOf(int64_t rows, int64_t k, int64_t block) {
  std::vector<float> x((size_t)(rows * k));
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t at = 0; at < k; at += block) {
      const float unit = ldexpf(1, -(int)(word() % 12));
      const int64_t length = std::min(block, k - at);
      for (int64_t j = 0; j < length; j++) x[(size_t)(i * k + at + j)] = unit * (float)((int)(word() % 255) - 127);
      x[(size_t)(i * k + at + word() % length)] = unit * (word() & 1 ? 127 : -127);
    }
  }
  return x;
}

/** What meets the minima: of blocks of 32 the sum of the integers times their scale, as float16. */
static double minimaSum(const float* x, int64_t block) {
  double sum = 0;
  for (int64_t j = 0; j < block; j++) sum += x[j];
  return block == 32 ? nearestHalf(sum) : sum;
}

struct Shape {
  int64_t m, n, k;
  bool transposeA, transposeB;
};

/** Largest error of a product, in units of what rounding every term of its sum could do at worst. */
static double errorOf(WeightFormat format, const Shape& s, bool roundsRows, int threads) {
  const int64_t block = blockLength(format);
  const std::vector<float> rows = activationsOf(s.m, s.k, block < 32 ? 32 : block);
  const Bytes weights = weightsOf(format, s.k * s.n);
  std::vector<float> a((size_t)(s.m * s.k)), out((size_t)(s.m * s.n), NAN);
  for (int64_t i = 0; i < s.m; i++)
    for (int64_t l = 0; l < s.k; l++) a[(size_t)(s.transposeA ? l * s.m + i : i * s.k + l)] = rows[(size_t)(i * s.k + l)];
  Matmul p{};
  p.a = a.data(), p.b = weights.data(), p.out = out.data();
  p.batch = 1, p.m = s.m, p.n = s.n, p.k = s.k, p.transposeA = s.transposeA, p.transposeB = s.transposeB;
  p.weights = format, p.roundsRows = roundsRows;
  kernels::matmul(p, threads);
  double worst = 0;
  for (int64_t i = 0; i < s.m; i++) {
    for (int64_t j = 0; j < s.n; j++) {
      double sum = 0, size = 1e-30;
      for (int64_t l = 0; l < s.k; l++) {
        const float* x = rows.data() + i * s.k + l;
        const Parts w = partsAt(format, weights, s.transposeB ? j * s.k + l : l * s.n + j);
        sum += w.scaled * *x;
        if (!roundsRows) sum += w.minimum * *x;
        else if (block == 32 && l % 32 == 0) sum += w.minimum * minimaSum(x, 32);
        else if (block == 256) sum += w.minimum * *x;
        size += fabs(w.scaled * *x) + fabs(w.minimum * *x);
      }
      const double error = fabs(out[(size_t)(i * s.n + j)] - sum) / (size * 6e-8);
      if (!(error <= worst)) worst = error >= 0 ? error : INFINITY;
    }
  }
  return worst;
}

static int checkProducts(WeightFormat format, const char* name, int threads) {
  const int64_t rows[] = {1, 2, 3, 5, 8, 9, 13}, columns[] = {1, 3, 16, 37, 64}, blocks[] = {1, 2, 3, 5, 18};
  const int64_t block = blockLength(format), unit = block > 1 ? block : 7;
  const int most = block == 256 ? 3 : 5;
  int wrong = 0, count = 0;
  double worst = 0;
  for (int64_t m : rows) {
    for (int64_t n : columns) {
      for (int b = 0; b < most; b++) {
        for (int way = 0; way < 8; way++) {
          Shape s{m, n, unit * blocks[b], (way & 1) != 0, (way & 2) != 0};
          const bool roundsRows = (way & 4) != 0;
          if (roundsRows && (block == 1 || !s.transposeB)) continue;
          if (!s.transposeB && block > 1) s.n = (n + block - 1) / block * block;  // rows are whole blocks
          if (!s.transposeB && (block == 256 || n > 16) && b > 0) continue;
          const double error = errorOf(format, s, roundsRows, threads);
          worst = std::max(worst, error), count++;
          if (error < 40) continue;
          wrong++;
          printf("WRONG %s m %lld n %lld k %lld transposeA %d transposeB %d roundsRows %d: error %g\n", name,
                 (long long)s.m, (long long)s.n, (long long)s.k, s.transposeA, s.transposeB, roundsRows, error);
        }
      }
    }
  }
  printf("%-8s %4d products, %d wrong, worst error %.2f\n", name, count, wrong, worst);
  return wrong;
}

/** Decoding and looking rows up, to the last bits of a product and a sum. */
static int checkDecoding(WeightFormat format, const char* name, int threads) {
  const int64_t width = blockLength(format) == 1 ? 37 : 2 * blockLength(format), rows = 5, count = rows * width;
  const Bytes weights = weightsOf(format, count);
  const int32_t ids[] = {3, 0, 4, 4, 1, 2};
  std::vector<float> all((size_t)count, NAN), some((size_t)(6 * width), NAN);
  kernels::decode(format, weights.data(), all.data(), count, threads);
  kernels::gatherRows(format, weights.data(), ids, some.data(), 6, width, threads);
  int wrong = 0;
  const auto compare = [&](float found, int64_t at) {
    const Parts w = partsAt(format, weights, at);
    const double bound = 1.3e-7 * (fabs(w.scaled) + fabs(w.minimum));
    if (!(fabs(found - (w.scaled + w.minimum)) <= bound)) wrong++;
  };
  for (int64_t at = 0; at < count; at++) compare(all[(size_t)at], at);
  for (int64_t i = 0; i < 6; i++)
    for (int64_t j = 0; j < width; j++) compare(some[(size_t)(i * width + j)], ids[i] * width + j);
  if (wrong > 0) printf("WRONG %s: %d decoded numbers\n", name, wrong);
  return wrong;
}

/** Rows that are stored as bfloat16 are the nearest numbers of it. */
static int checkStoring(int threads) {
  const WeightFormat format = WeightFormat::bfloat16;
  const int64_t width = 37, rows = 40;
  std::vector<float> from((size_t)(rows * width));
  for (float& x : from) x = ldexpf((float)(int32_t)(word() << 8), -31 - (int)(word() % 24));
  std::vector<int32_t> ids((size_t)rows);
  for (int64_t i = 0; i < rows; i++) ids[(size_t)i] = (int32_t)(rows - 1 - i);
  Bytes table((size_t)bytesOf(format, rows * width), 0xff);
  kernels::setRows(format, from.data(), ids.data(), table.data(), rows, width, threads);
  int wrong = 0;
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t j = 0; j < width; j++) {
      const double x = from[(size_t)(i * width + j)];
      if (numberAt(format, table, ids[(size_t)i] * width + j) != nearest(x, 8, -126)) wrong++;
    }
  }
  if (wrong > 0) printf("WRONG bfloat16: %d stored numbers\n", wrong);
  return wrong;
}

int main(int count, char** arguments) {
  const int threads = count > 1 ? atoi(arguments[1]) : 2;
  static const char* const names[] = {"float32", "bfloat16", "float16", "q8_0", "q4_0", "q4_1",
                                      "q5_0",    "q5_1",     "q4_k",    "q5_k", "q6_k"};
  int wrong = 0;
  for (int i = 0; i < kWeightFormats; i++) {
    const WeightFormat format = (WeightFormat)i;
    wrong += checkProducts(format, names[i], threads) + checkDecoding(format, names[i], threads);
  }
  wrong += checkStoring(threads);
  printf(wrong == 0 ? "all right\n" : "%d wrong\n", wrong);
  return wrong == 0 ? 0 : 1;
}
