#include "kernels/token-choice.h"

#include <math.h>

#include "kernels/double-vector.h"
#include "kernels/parallel.h"

/**
 * The choice of a token as src/backend/reference/token-choice.ts defines it. Weights are whole numbers, so that their sums
 * are exact in any order; what is kept of them is found by counting, bin by bin, without sorting.
 */
namespace stemma::STEMMA_ISA {

namespace {

/** Bins into which weights fall by the leading bits of a double: 32 for each power of two below 2⁴¹. */
constexpr int kBins = 41 << 5;
constexpr int kFirstShift = 47;
/** Bits that each further round looks at. */
constexpr int kRoundBits = 10;
/** Bits below are 0 in whole numbers up to 2⁴⁰. */
constexpr int kLastShift = 12;

/** Memory of one row. */
struct Room {
  float* logits;
  double* weights;
  double* some;  // weights of one bin

  static int64_t bytes(int64_t width) { return (width + 16) * (int64_t)(sizeof(float) + 2 * sizeof(double)) / 64 * 64 + 128; }

  Room(char* memory, int64_t width) {
    weights = (double*)memory;
    some = weights + width + 8;
    logits = (float*)(some + width);
  }
};

/** exp(x) · scale for x ≤ 0, to the nearest whole number: `wholeWeight` of src/backend/reference/token-weights.ts. */
STEMMA_INLINE DoubleVec wholeWeights(DoubleVec x, double scale) {
  const LongVec counts = x >= -40.0;
  const DoubleVec safe = counts ? x : DoubleVec{};
  const DoubleVec n = floorOf(multiplyThenAdd(safe, 1.4426950408889634, 0.5));
  const DoubleVec r = (safe - rounded(n * 0.693145751953125)) - rounded(n * 1.4286068203094173e-6);
  constexpr double kSeries[] = {1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120,
                                1.0 / 24,      1.0 / 6,      0.5,         1.0,        1.0};
  DoubleVec series = broadcastDouble(1.0 / 39916800);
#pragma GCC unroll 11
  for (double term : kSeries) series = rounded(series * r) + term;
  // The integer in n, moved to where a double has its exponent.
  const LongVec power = ((LongVec)(n + 6755399441055744.0) + 1023) << 52;
  const DoubleVec weight = floorOf(series * (DoubleVec)power * scale + 0.5);
  return counts ? weight : DoubleVec{};
}

/** Weights of a row; gives their sum. */
double weigh(const float* logits, int64_t width, double peak, double temperature, double scale, double* weights) {
  DoubleVec sums = {};
  int64_t i = 0;
  for (; i + kDoubleLanes <= width; i += kDoubleLanes) {
    const DoubleVec all = wholeWeights((widen(logits + i) - peak) / temperature, scale);
    storeDoubles(weights + i, all);
    sums += all;
  }
  double sum = sumLanes(sums);
  for (; i < width; i++) {
    const DoubleVec one = wholeWeights((broadcastDouble(logits[i]) - peak) / temperature, scale);
    weights[i] = one[0];
    sum += one[0];
  }
  return sum;
}

/** The first place of the largest number; 0 where there is none. */
int64_t firstLargest(const float* x, int64_t width) {
  Vec all = broadcast(-INFINITY);
  forVectors(width, [&](int64_t i, int64_t count) STEMMA_EXPANDED { all = max(loadSome(x + i, count, -INFINITY), all); });
  const float peak = maxLanes(all);
  for (int64_t i = 0; i < width; i++)
    if (x[i] == peak && peak > -INFINITY) return i;
  return 0;
}

/** A copy of the logits on which everything has worked that changes single tokens; each step is rounded to a float. */
void change(const TokenChoice& c, const float* logits, int64_t width, float* row) {
  memcpy(row, logits, width * sizeof(float));
  if (c.allowed) {
    for (int64_t id = 0; id < width; id++)
      if (!(((uint32_t)c.allowed[id >> 5] >> (id & 31)) & 1)) row[id] = -INFINITY;
  }
  for (int64_t i = 0; i < c.bias.count; i++) {
    row[c.bias.ids[i]] = (float)((double)row[c.bias.ids[i]] + c.bias.amounts[i]);
  }
  for (int64_t i = 0; i < c.seenCount; i++) {
    float& logit = row[c.seen[i]];
    logit = (float)(logit > 0 ? (double)logit / c.repetitionPenalty : (double)logit * c.repetitionPenalty);
  }
  for (int64_t i = 0; i < c.lowered.count; i++) {
    row[c.lowered.ids[i]] = (float)((double)row[c.lowered.ids[i]] - c.lowered.amounts[i]);
  }
}

/** The weights that are left: all above `least`, and the first `equal` of those that are just it. */
struct Kept {
  double least;
  double equal;
  double sum;
};

/** Numbers and sums of weights in each bin. */
struct Histogram {
  int32_t counts[kBins];
  double sums[kBins];
};

uint64_t bitsOf(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/** Bin of a weight of at least 1. */
int firstBin(double weight) { return (int)(bitsOf(weight) >> kFirstShift) - (1023 << 5); }

/**
 * Looks for where a beginning of the weights in falling order ends. `isEnough(count, sum)` says of so many of the largest,
 * which add up to `sum`, whether they are; `endsAmong` how many of `all` that are equal it takes beside those.
 */
template <class IsEnough, class EndsAmong>
Kept fewestOf(const double* weights, int64_t width, double lowest, double* some, IsEnough&& isEnough, EndsAmong&& endsAmong) {
  const Scratch memory(sizeof(Histogram));
  Histogram& bins = *(Histogram*)memory.bytes();
  memset(&bins, 0, sizeof bins);
  for (int64_t i = 0; i < width; i++) {
    if (!(weights[i] >= lowest)) continue;
    const int bin = firstBin(weights[i]);
    bins.counts[bin]++;
    bins.sums[bin] += weights[i];
  }
  int64_t before = 0, count = 0;
  double sumBefore = 0;
  int bin = kBins - 1;
  for (; bin >= 0 && !isEnough(before + bins.counts[bin], sumBefore + bins.sums[bin]); bin--) {
    before += bins.counts[bin];
    sumBefore += bins.sums[bin];
  }
  if (bin < 0) return {lowest, INFINITY, sumBefore};
  double least = INFINITY, most = 0;
  for (int64_t i = 0; i < width; i++) {
    if (!(weights[i] >= lowest) || firstBin(weights[i]) != bin) continue;
    some[count++] = weights[i];
    if (weights[i] < least) least = weights[i];
    if (weights[i] > most) most = weights[i];
  }
  for (int shift = kFirstShift - kRoundBits; least < most; shift -= kRoundBits) {
    if (shift < kLastShift) shift = kLastShift;
    memset(&bins, 0, sizeof bins);
    for (int64_t i = 0; i < count; i++) {
      const int own = (int)(bitsOf(some[i]) >> shift) & ((1 << kRoundBits) - 1);
      bins.counts[own]++;
      bins.sums[own] += some[i];
    }
    int chosen = (1 << kRoundBits) - 1;
    for (; chosen > 0 && !isEnough(before + bins.counts[chosen], sumBefore + bins.sums[chosen]); chosen--) {
      before += bins.counts[chosen];
      sumBefore += bins.sums[chosen];
    }
    int64_t left = 0;
    least = INFINITY, most = 0;
    for (int64_t i = 0; i < count; i++) {
      if (((int)(bitsOf(some[i]) >> shift) & ((1 << kRoundBits) - 1)) != chosen) continue;
      const double weight = some[i];
      some[left++] = weight;
      if (weight < least) least = weight;
      if (weight > most) most = weight;
    }
    count = left;
  }
  const double equal = endsAmong(before, sumBefore, least, count);
  return {least, equal, sumBefore + equal * least};
}

/** What top-k, top-p and min-p leave. */
Kept keepLikely(const TokenChoice& c, const double* weights, int64_t width, double sum, double scale, double* some) {
  Kept kept{1, INFINITY, sum};
  if (c.topK > 0 && c.topK < width) {
    kept = fewestOf(
        weights, width, 1, some, [&](int64_t count, double) { return count >= c.topK; },
        [&](int64_t before, double, double, int64_t) { return (double)(c.topK - before); });
  }
  if (c.topP < 1) {
    const double needed = c.topP * kept.sum;
    const Kept all = kept;
    kept = fewestOf(
        weights, width, kept.least, some, [&](int64_t, double mass) { return mass >= needed; },
        [&](int64_t, double before, double weight, int64_t count) {
          double equal = floor((needed - before) / weight);
          while (equal > 1 && before + (equal - 1) * weight >= needed) equal--;
          while (equal < 1 || before + equal * weight < needed) equal++;
          const double most = weight == all.least && all.equal < (double)count ? all.equal : (double)count;
          return equal < most ? equal : most;
        });
  }
  const double floorWeight = c.minP * scale > 1 ? c.minP * scale : 1;
  if (kept.least >= floorWeight) return kept;
  double left = 0;
  for (int64_t i = 0; i < width; i++)
    if (weights[i] >= floorWeight) left += weights[i];
  return {ceil(floorWeight), INFINITY, left};
}

/** The first token at which the kept weights add up to more than a share of their sum; −1 where nothing is kept. */
int64_t drawFrom(const double* weights, int64_t width, const Kept& kept, double uniform) {
  double left = floor(uniform * kept.sum), equals = kept.equal;
  int64_t last = -1;
  for (int64_t i = 0; i < width; i++) {
    const double weight = weights[i];
    if (weight < kept.least || weight == 0) continue;
    if (weight == kept.least && equals-- <= 0) continue;
    left -= weight;
    last = i;
    if (left < 0) break;
  }
  return last;
}

int64_t choose(const TokenChoice& c, const float* logits, int64_t width, const Room& room) {
  const bool changes = c.allowed || c.bias.count + c.seenCount + c.lowered.count > 0;
  if (changes) {
    change(c, logits, width, room.logits);
    logits = room.logits;
  }
  const int64_t best = firstLargest(logits, width);
  if (c.temperature == 0) return best;
  const double scale = ldexp(1.0, (int)c.weightBits);
  const double sum = weigh(logits, width, logits[best], c.temperature, scale, room.weights);
  const Kept kept = keepLikely(c, room.weights, width, sum, scale, room.some);
  const int64_t token = drawFrom(room.weights, width, kept, c.uniform);
  return token < 0 ? best : token;
}

/** Ids and logits of the largest, falling; of equals, the smaller id is the first. Gives how many there are. */
int64_t likeliest(const float* logits, int64_t width, int64_t wanted, double* out) {
  const int64_t most = wanted < width ? wanted : width;
  if (most == 0) return 0;
  int64_t count = 0;
  float least = -INFINITY;
  const auto add = [&](int64_t id) {
    const float logit = logits[id];
    if (count == most && !(logit > least)) return;
    int64_t at = count == most ? most - 1 : count++;
    for (; at > 0 && logit > (float)out[2 * at - 1]; at--) {
      out[2 * at] = out[2 * at - 2];
      out[2 * at + 1] = out[2 * at - 1];
    }
    out[2 * at] = (double)id;
    out[2 * at + 1] = logit;
    if (count == most) least = (float)out[2 * most - 1];
  };
  int64_t i = 0;
  for (; i < width && count < most; i++) add(i);
  for (; i < width && i % kLanes != 0; i++) add(i);
  for (; i + kLanes <= width; i += kLanes) {
    if (maxLanes(load(logits + i)) > least)
      for (int64_t k = 0; k < kLanes; k++) add(i + k);
  }
  for (; i < width; i++) add(i);
  return count;
}

/** What the untouched logits say of the token and its alternatives. */
void score(const TokenChoice& c, const float* logits, int64_t width, const Room& room, double* out) {
  const double scale = ldexp(1.0, (int)c.weightBits), peak = logits[firstLargest(logits, width)];
  out[2] = peak;
  out[3] = weigh(logits, width, peak, 1, scale, room.weights) / scale;
  out[4] = (double)likeliest(logits, width, c.alternatives, out + kChoiceNumbers);
}

}  // namespace

/** Rows in parallel; `outs` says where the numbers of each go. */
void chooseTokens(const float* logits, int64_t rows, int64_t width, const TokenChoice* choices, double* const* outs,
                  int threads) {
  const int64_t bytes = Room::bytes(width);
  const Scratch memory((size_t)((threads < rows ? threads : rows) * bytes) + 64);
  parallel(threads, rows, [&](int64_t row, int slot) {
    const TokenChoice& c = choices[row];
    const float* own = logits + row * width;
    const Room room(memory.bytes() + slot * bytes, width);
    double* const out = outs[row];
    if (own[0] != own[0]) {
      out[0] = -1;
      return;
    }
    const int64_t token = c.given >= 0 ? c.given : choose(c, own, width, room);
    out[0] = (double)token;
    out[1] = own[token];
    if (c.alternatives >= 0) score(c, own, width, room, out);
  });
}

}  // namespace stemma::STEMMA_ISA
