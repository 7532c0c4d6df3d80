// Attention and its gradient against sums in double precision, then their speed as a share of the machine's peak,
// counting only what the mask lets through.
//   attention [check | time] [threads] [name of what to time]
#include "kernels/attention.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <vector>

using namespace stemma;

namespace stemma::STEMMA_ISA {
void attention(const Attention& attention, int threads);
void attentionGrad(const AttentionGradient& gradient, int threads);
double floatPeak(double seconds, int threads);
}  // namespace stemma::STEMMA_ISA

namespace kernels = stemma::STEMMA_ISA;

static double secondsOf(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/** Seconds this process has computed, on all threads: other programs do not disturb it much. */
static double used() { return secondsOf(CLOCK_PROCESS_CPUTIME_ID); }

/** Operations per second of computing, whatever else the machine does meanwhile. */
static double peakOfOneThread() {
  const double start = used(), wall = secondsOf(CLOCK_MONOTONIC), rate = kernels::floatPeak(0.5, 1);
  return rate * (secondsOf(CLOCK_MONOTONIC) - wall) / (used() - start);
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

/** Everything one call needs, with queries, keys and values packed as one projection gives them. */
struct Example {
  int64_t batch, heads, groups, queries, keys, headDim;
  bool causal;
  std::vector<float> query, keyValue, out, logSumExp, dOut, dQuery, dKeyValue;
  std::vector<int32_t> mask;

  Example(int64_t batch, int64_t heads, int64_t groups, int64_t queries, int64_t keys, int64_t headDim, bool causal)
      : batch(batch), heads(heads), groups(groups), queries(queries), keys(keys), headDim(headDim), causal(causal) {
    query = numbers(batch * queries * heads * headDim, 1);
    keyValue = numbers(batch * keys * 2 * groups * headDim, 2);
    dOut = numbers((int64_t)query.size(), 3);
    out.resize(query.size());
    dQuery.resize(query.size());
    dKeyValue.resize(keyValue.size());
    logSumExp.resize((size_t)(batch * heads * queries));
    for (int64_t b = 0; b < batch; b++) {
      for (int64_t number : {keys - queries, (int64_t)0, keys}) mask.push_back((int32_t)number);
    }
  }

  AttentionRule rule() const {
    AttentionRule r{};
    r.batch = batch, r.heads = heads, r.keyValueHeads = groups;
    r.queries = queries, r.keys = keys, r.headDim = headDim;
    r.scale = 1.0f / sqrtf((float)headDim);
    r.causal = causal;
    r.mask = mask.data();
    r.maskWidth = 3;
    return r;
  }

  HeadRows rows(std::vector<float>& of, int64_t time, int64_t count, int64_t at) const {
    const int64_t width = count * headDim;
    return {of.data() + at * headDim, width, width * time};
  }

  Attention forward() {
    return {rule(), rows(query, queries, heads, 0), rows(keyValue, keys, 2 * groups, 0),
            rows(keyValue, keys, 2 * groups, groups), WeightFormat::float32, out.data(), logSumExp.data()};
  }

  AttentionGradient backward() {
    const Attention f = forward();
    return {f.rule, f.query, f.key, f.value, f.out, f.logSumExp, dOut.data(), rows(dQuery, queries, heads, 0),
            rows(dKeyValue, keys, 2 * groups, 0), rows(dKeyValue, keys, 2 * groups, groups), nullptr};
  }

  int64_t end(int64_t i) const { return causal ? keys - queries + i + 1 : keys; }

  /** Pairs of a query and a key it sees. */
  double pairs() const {
    double sum = 0;
    for (int64_t i = 0; i < queries; i++) sum += (double)end(i);
    return sum * (double)(batch * heads);
  }
};

static double largestError(const std::vector<double>& want, const std::vector<float>& got) {
  double worst = 0;
  for (size_t i = 0; i < want.size(); i++) worst = std::max(worst, fabs(want[i] - (double)got[i]));
  return worst;
}

/** Largest errors of the output and of all gradients. */
static void check(Example e, int threads) {
  kernels::attention(e.forward(), threads);
  kernels::attentionGrad(e.backward(), threads);
  std::vector<double> out(e.out.size()), dQuery(e.dQuery.size()), dKeyValue(e.dKeyValue.size());
  const int64_t d = e.headDim;
  const double scale = 1 / sqrt((double)d);
  for (int64_t b = 0; b < e.batch; b++) {
    for (int64_t h = 0; h < e.heads; h++) {
      const int64_t group = h * e.groups / e.heads;
      for (int64_t i = 0; i < e.queries; i++) {
        const size_t at = (size_t)(((b * e.queries + i) * e.heads + h) * d);
        auto key = [&](int64_t j) { return (size_t)(((b * e.keys + j) * 2 * e.groups + group) * d); };
        auto value = [&](int64_t j) { return key(j) + (size_t)(e.groups * d); };
        auto dot = [&](const std::vector<float>& x, size_t y) {
          double sum = 0;
          for (size_t c = 0; c < (size_t)d; c++) sum += (double)x[at + c] * e.keyValue[y + c];
          return sum;
        };
        std::vector<double> p((size_t)e.end(i));
        double total = 0, delta = 0;
        for (size_t j = 0; j < p.size(); j++) total += p[j] = exp(dot(e.query, key((int64_t)j)) * scale);
        for (size_t j = 0; j < p.size(); j++) delta += (p[j] /= total) * dot(e.dOut, value((int64_t)j));
        for (size_t j = 0; j < p.size(); j++) {
          const size_t k = key((int64_t)j), v = value((int64_t)j);
          const double dScore = p[j] * (dot(e.dOut, v) - delta) * scale;
          for (size_t c = 0; c < (size_t)d; c++) {
            out[at + c] += p[j] * e.keyValue[v + c];
            dQuery[at + c] += dScore * e.keyValue[k + c];
            dKeyValue[k + c] += dScore * e.query[at + c];
            dKeyValue[v + c] += p[j] * e.dOut[at + c];
          }
        }
      }
    }
  }
  printf("%lld×%lld heads of %lld, %lld × %lld: out %.2g, dQuery %.2g, dKey and dValue %.2g\n", (long long)e.batch,
         (long long)e.heads, (long long)d, (long long)e.queries, (long long)e.keys, largestError(out, e.out),
         largestError(dQuery, e.dQuery), largestError(dKeyValue, e.dKeyValue));
}

template <class Body>
static double fastest(Body&& body) {
  double best = INFINITY, spent = 0;
  for (int i = 0; i < 5 || (spent < 0.5 && i < 2000); i++) {
    const double start = used();
    body();
    const double seconds = used() - start;
    best = std::min(best, seconds);
    spent += seconds;
  }
  return best;
}

static const char* only = "";

static void timeOf(const char* name, Example e, bool hasGradient, int threads) {
  if (*only && strcmp(name, only) != 0) return;
  const double peak = peakOfOneThread(), product = 2 * e.pairs() * (double)e.headDim;
  const double forward = fastest([&] { kernels::attention(e.forward(), threads); });
  printf("%-10s forward %8.0f us %5.0f GFLOP/s %3.0f %%", name, forward * 1e6, 2 * product / forward / 1e9,
         100 * 2 * product / forward / peak);
  if (hasGradient) {
    const double backward = fastest([&] { kernels::attentionGrad(e.backward(), threads); });
    printf("   backward %8.0f us %5.0f GFLOP/s %3.0f %%", backward * 1e6, 5 * product / backward / 1e9,
           100 * 5 * product / backward / peak);
  } else {
    printf("   %.1f GB/s of keys and values", (double)(e.keyValue.size() * sizeof(float)) / forward / 1e9);
  }
  printf("\n");
}

int main(int count, char** arguments) {
  const char* what = count > 1 ? arguments[1] : "";
  const int threads = count > 2 ? atoi(arguments[2]) : 1;
  if (strcmp(what, "time") != 0) {
    check(Example(2, 4, 2, 67, 67, 24, true), threads);
    check(Example(1, 2, 2, 300, 700, 40, false), threads);
    check(Example(2, 3, 1, 2, 1500, 33, true), threads);
  }
  if (strcmp(what, "check") == 0) return 0;
  if (count > 3) only = arguments[3];
  timeOf("S", Example(12, 4, 4, 64, 64, 32, true), true, threads);
  timeOf("M", Example(8, 6, 6, 256, 256, 64, true), true, threads);
  timeOf("L", Example(4, 12, 12, 256, 256, 64, true), true, threads);
  timeOf("1024", Example(1, 12, 12, 1024, 1024, 64, true), true, threads);
  timeOf("BERT 128", Example(8, 12, 12, 128, 128, 64, false), true, threads);
  timeOf("decode", Example(1, 12, 12, 1, 1024, 64, true), false, threads);
  timeOf("decode 64", Example(1, 12, 12, 1, 64, 64, true), false, threads);
}
