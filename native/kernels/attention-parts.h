#pragma once

#include <math.h>
#include <string.h>

#include "kernels/attention.h"
#include "kernels/functions.h"
#include "kernels/philox.h"

/** What attention and its gradient share: which keys are seen, and the steps along a row of scores. */
namespace stemma::STEMMA_ISA {

/** Keys [first, end); under every rule the keys that a query sees are neighbours. */
struct KeyRange {
  int64_t first;
  int64_t end;

  int64_t length() const { return end - first; }
  bool isEmpty() const { return first >= end; }
};

static inline KeyRange within(KeyRange a, KeyRange b) {
  const KeyRange both{a.first > b.first ? a.first : b.first, a.end < b.end ? a.end : b.end};
  return both.isEmpty() ? KeyRange{b.first, b.first} : both;
}

/** Keys that query i of sequence b sees. */
static inline KeyRange keysOf(const AttentionRule& r, int64_t b, int64_t i) {
  KeyRange seen{0, r.keys};
  if (r.causal) {
    const int64_t past = (r.queryStarts ? r.queryStarts[b] : 0) + i + 1;
    const int64_t prefix = r.prefixLengths ? r.prefixLengths[b] : 0;
    const int64_t end = past > prefix ? past : prefix;
    if (end < seen.end) seen.end = end;
  }
  if (r.keyLengths && r.keyLengths[b] < seen.end) seen.end = r.keyLengths[b];
  if (r.firstKeys && r.firstKeys[b * r.queries + i] > 0) seen.first = r.firstKeys[b * r.queries + i];
  return seen.isEmpty() ? KeyRange{0, 0} : seen;
}

/** The smallest range with all keys that queries [begin, end) see. */
static inline KeyRange keysOfQueries(const AttentionRule& r, int64_t b, int64_t begin, int64_t end) {
  KeyRange all{0, 0};
  for (int64_t i = begin; i < end; i++) {
    const KeyRange seen = keysOf(r, b, i);
    if (seen.isEmpty()) continue;
    if (all.isEmpty()) all = seen;
    if (seen.first < all.first) all.first = seen.first;
    if (seen.end > all.end) all.end = seen.end;
  }
  return all;
}

/** First element of one row of one head. */
static inline float* rowOf(const HeadRows& rows, const AttentionRule& r, int64_t b, int64_t t, int64_t head) {
  return rows.data + b * rows.batchStride + t * rows.rowStride + head * r.headDim;
}

/** scores = scale · scores + bias, where bias is not null; gives the largest, passing over NaN. */
STEMMA_INLINE float finishScores(float* scores, const float* bias, float scale, int64_t length) {
  Vec largest = broadcast(-INFINITY);
  forVectors(length, [&](int64_t j, int64_t count) STEMMA_EXPANDED {
    Vec score = loadSome(scores + j, count) * scale;
    if (bias) score += loadSome(bias + j, count);
    storeSome(scores + j, score, count);
    if (count < kLanes) score = loadPartial(scores + j, count, -INFINITY);
    largest = max(score, largest);
  });
  return maxLanes(largest);
}

/** scores = exp(scores − peak); gives their sum. */
STEMMA_INLINE float exponentiate(float* scores, float peak, int64_t length) {
  Vec sums[2] = {};
  int64_t j = 0;
  for (; j + 2 * kLanes <= length; j += 2 * kLanes) {
    for (int k = 0; k < 2; k++) {
      const Vec weight = exp(load(scores + j + k * kLanes) - peak);
      store(scores + j + k * kLanes, weight);
      sums[k] += weight;
    }
  }
  for (; j < length; j += kLanes) {
    const int64_t count = length - j < kLanes ? length - j : kLanes;
    const Vec weight = exp(loadPartial(scores + j, count, -INFINITY) - peak);
    storePartial(scores + j, weight, count);
    sums[0] += weight;
  }
  return sumLanes(sums[0] + sums[1]);
}

STEMMA_INLINE void scaleVector(float* x, float by, int64_t length) {
  forVectors(length, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
    storeSome(x + i, loadSome(x + i, count) * by, count);
  });
}

/** What dropout multiplies weights [first, first + length) of a whole attention by: 0 or 1 / (1 − rate). */
static inline void keptWeights(const AttentionRule& r, uint64_t first, int64_t length, float* kept) {
  const double bound = r.rate * 4294967296.0;
  const float keep = (float)(1.0 / (1.0 - r.rate));
  PhiloxReader reader{r.draw};
  for (int64_t j = 0; j < length; j++) kept[j] = reader.word(first + (uint64_t)j) < bound ? 0.0f : keep;
}

/** What a row of scores knows of itself while block after block of keys is added. */
struct RowState {
  float peak;
  float sum;
};

/**
 * Turns scores of one query with the next keys into weights relative to the largest score so far. What was summed
 * before must be multiplied by the result.
 */
STEMMA_INLINE float weighScores(float* scores, const float* bias, float scale, int64_t length, RowState& state) {
  const float before = state.peak, peak = finishScores(scores, bias, scale, length);
  state.peak = peak > before ? peak : before;
  // Without a finite score there is nothing to subtract; what is no number must still reach the sum.
  const float shift = state.peak == -INFINITY ? 0.0f : state.peak;
  const float shrink = before == -INFINITY ? 0.0f : expf(before - shift);
  state.sum = state.sum * shrink + exponentiate(scores, shift, length);
  return shrink;
}

/** Divides one query's sum of values by the sum of its weights, and notes log Σ exp of its scores. */
STEMMA_INLINE void finishRow(const Attention& a, float* out, int64_t row, RowState state) {
  const bool sees = state.sum != 0;
  if (sees) scaleVector(out, 1.0f / state.sum, a.rule.headDim);
  if (a.logSumExp) a.logSumExp[row] = sees ? state.peak + logf(state.sum) : -INFINITY;
}

/** Attention for few queries: reads keys and values where they lie. */
void attendFew(const Attention& a, int threads);

}  // namespace stemma::STEMMA_ISA
