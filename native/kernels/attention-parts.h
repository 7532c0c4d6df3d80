#pragma once

#include <math.h>
#include <string.h>

#include "kernels/attention.h"
#include "kernels/functions.h"
#include "kernels/pack.h"
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

/** Position of the first query of sequence b. */
static inline int64_t startOf(const AttentionRule& r, int64_t b) { return r.mask ? r.mask[b * r.maskWidth] : 0; }

/** Keys that query i of sequence b sees. */
static inline KeyRange keysOf(const AttentionRule& r, int64_t b, int64_t i) {
  KeyRange seen{0, r.keys};
  const int32_t* mask = r.mask ? r.mask + b * r.maskWidth : nullptr;
  if (r.causal) {
    const int64_t past = startOf(r, b) + i + 1, prefix = mask ? mask[1] : 0;
    const int64_t end = past > prefix ? past : prefix;
    if (end < seen.end) seen.end = end;
  }
  if (mask && mask[2] < seen.end) seen.end = mask[2];
  if (r.maskWidth > 3 && mask && mask[3 + i] > 0) seen.first = mask[3 + i];
  const int64_t reach = startOf(r, b) + i + 1 - r.window;
  if (r.window > 0 && reach > seen.first) seen.first = reach;
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

/** Keys of two vectors: the least by which beginnings of stretches of scores differ. */
constexpr int64_t kVectorPair = 2 * kLanes;

/**
 * The stretch of keys from `first` on that goes through a kernel at once, at most to the end of a block: it begins with a
 * whole pair of vectors, and blocks lie at multiples of `keys` from the first key of all, so that a query's sums are the
 * same whoever is computed beside it.
 */
static inline KeyRange blockAt(int64_t first, int64_t end, int64_t keys) {
  if (first >= end) return {end, end};
  const int64_t begin = first - first % kVectorPair, next = (first / keys + 1) * keys;
  return {begin, next < end ? next : end};
}

/** Which queries of a tile see what: all of them `common`, some of them `any`. */
struct TileKeys {
  KeyRange any;
  KeyRange common;
};

static inline Format formatOf(const AttentionRule& r) { return r.useBfloat16 ? kBfloat16Format : Format::float32; }

/**
 * Rows of k numbers as the left operand of a tile: where they lie, or in `room` as units of another format. Room may
 * begin where they do, or before.
 */
static inline TileRows leftOperand(Format format, const float* x, int64_t rowStride, int64_t rows, int64_t k,
                                   float* room) {
  if (format == Format::float32) return {x, rowStride, 1};
  packRows(format, x, rowStride, rows, k, room);
  return {room, unitsOf(format, k), 1};
}

/**
 * Of `rows` queries that see `own`, within a block of keys; both are empty when nobody sees anything. `any` begins with
 * a whole pair of vectors of the block.
 */
static inline TileKeys tileKeys(const KeyRange* own, int64_t rows, KeyRange block) {
  TileKeys keys{{block.end, block.first}, block};
  for (int64_t t = 0; t < rows; t++) {
    const KeyRange seen = within(own[t], block);
    if (!seen.isEmpty() && seen.first < keys.any.first) keys.any.first = seen.first;
    if (seen.end > keys.any.end) keys.any.end = seen.end;
    if (seen.first > keys.common.first) keys.common.first = seen.first;
    if (seen.end < keys.common.end) keys.common.end = seen.end;
  }
  if (keys.any.isEmpty()) keys.any = {block.first, block.first};
  keys.any.first -= (keys.any.first - block.first) % kVectorPair;
  keys.common = within(keys.common, keys.any);
  return keys;
}

/**
 * Elements between the rows of scores: behind each row there is room for a vector, so that its end can be written whole.
 * What a masked write leaves, a load right after it would have to wait for.
 */
constexpr int64_t scoreStride(int64_t keys) { return keys + 16; }

/**
 * Calls `body(j, count, room, mask)` for vector after vector of keys [keys.any) of a query that sees `own`: `count` keys
 * are there, `room` lanes may be written, and mask(x, y) is x at the keys it sees, and y elsewhere and beyond `count`.
 * All queries of a tile take the same steps, which processors foresee.
 */
template <class Body>
STEMMA_INLINE void forSeen(const TileKeys& keys, KeyRange own, Body&& body) {
  IntVec lanes;
  for (int i = 0; i < kLanes; i++) lanes[i] = i;
  auto edge = [&](int64_t first, int64_t end, bool isLast) STEMMA_EXPANDED {
    const int32_t ownEnd = (int32_t)(own.end < end ? own.end : end);
    for (int64_t j = first; j < end; j += kLanes) {
      const IntVec key = lanes + (int32_t)j;
      const IntVec sees = (key >= (int32_t)own.first) & (key < ownEnd);
      const int64_t count = end - j < kLanes ? end - j : kLanes;
      const int64_t room = isLast ? (int64_t)kLanes : count;
      body(j, count, room, [&](Vec x, Vec y) STEMMA_EXPANDED { return select(sees, x, y); });
    }
  };
  edge(keys.any.first, keys.common.first, false);
  int64_t j = keys.common.first;
  for (; j + kLanes <= keys.common.end; j += kLanes) {
    body(j, (int64_t)kLanes, (int64_t)kLanes, [](Vec x, Vec) STEMMA_EXPANDED { return x; });
  }
  edge(j, keys.any.end, true);
}

/** How the products of one query with keys become scores: capped(scale · product) + bias + slope · (key − position). */
struct ScoreRule {
  float scale;
  /** 0 caps nothing. */
  float cap;
  /** That of key 0, or null. */
  const float* bias;
  float slope;
  float position;
};

/** The rule of query i of one head of sequence b. */
static inline ScoreRule scoreRule(const AttentionRule& r, int64_t b, int64_t head, int64_t i) {
  return {r.scale, r.cap, r.bias ? r.bias + (head * r.queries + i) * r.keys : nullptr, r.slopes ? r.slopes[head] : 0.0f,
          (float)(startOf(r, b) + i)};
}

/** tanh(scale · product / cap) where scores are capped. */
STEMMA_INLINE Vec saturation(const ScoreRule& rule, Vec product) { return tanh(product * (rule.scale / rule.cap)); }

/** Scores of `count` keys from key j on. */
STEMMA_INLINE Vec scoresOf(const ScoreRule& rule, Vec product, int64_t j, int64_t count) {
  Vec score = rule.cap == 0 ? product * rule.scale : saturation(rule, product) * rule.cap;
  if (rule.bias) score += loadSome(rule.bias + j, count);
  if (rule.slope != 0) {
    Vec lanes;
    for (int i = 0; i < kLanes; i++) lanes[i] = (float)i;
    score = fma(lanes + ((float)j - rule.position), broadcast(rule.slope), score);
  }
  return score;
}

/**
 * Products become scores where the query sees the key, −∞ elsewhere; gives the largest, passing over NaN. `scores` is
 * that of key 0.
 */
STEMMA_INLINE float finishScores(const TileKeys& keys, KeyRange own, float* scores, const ScoreRule& rule) {
  Vec largest = broadcast(-INFINITY);
  forSeen(keys, own, [&](int64_t j, int64_t count, int64_t room, auto&& mask) STEMMA_EXPANDED {
    const Vec hidden = broadcast(-INFINITY);
    const Vec score = mask(scoresOf(rule, loadSome(scores + j, count), j, count), hidden);
    storeSome(scores + j, score, room);
    largest = max(score, largest);
  });
  return maxLanes(largest);
}

/**
 * scores = exp(scores − peak), and 0 in the rest of the last vector; gives their sum. Even and odd vectors are summed
 * apart, so that it is the same however many scores of −∞ stand before (whole pairs of vectors) and behind.
 */
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
  for (int k = 0; j < length; j += kLanes, k++) {
    const int64_t count = length - j < kLanes ? length - j : kLanes;
    const Vec weight = exp(loadPartial(scores + j, count, -INFINITY) - peak);
    store(scores + j, weight);
    sums[k] += weight;
  }
  return sumLanes(sums[0] + sums[1]);
}

/** Short rows are many: a loop here is faster than calls of memset. */
STEMMA_INLINE void clear(float* x, int64_t length) {
  forVectors(length, [&](int64_t i, int64_t count) STEMMA_EXPANDED { storeSome(x + i, Vec{}, count); });
}

STEMMA_INLINE void scaleVector(float* x, float by, int64_t length) {
  forVectors(length, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
    storeSome(x + i, loadSome(x + i, count) * by, count);
  });
}

/** What dropout multiplies weights by: those of one row of `[batch, heads, queries, keys]`, from key `first` on. */
static inline void keptWeights(const AttentionRule& r, int64_t row, int64_t first, int64_t length, float* kept) {
  keptFactors(r.draw, r.rate, (uint64_t)row * (uint64_t)r.keys + (uint64_t)first, length, kept);
}

/** x = x ⊙ by */
STEMMA_INLINE void multiplyRow(float* x, const float* by, int64_t length) {
  forVectors(length, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
    storeSome(x + i, loadSome(x + i, count) * loadSome(by + i, count), count);
  });
}

/** What a row of scores knows of itself while block after block of keys is added. */
struct RowState {
  float peak;
  float sum;
};

/**
 * Takes note of the largest of the next scores. They are to be relative to `shift`, and what was summed before must be
 * multiplied by `shrink`.
 */
struct NextPeak {
  float shift;
  float shrink;
};

static inline NextPeak raisePeak(RowState& state, float peak) {
  const float before = state.peak;
  state.peak = peak > before ? peak : before;
  // Without a finite score there is nothing to subtract; what is no number must still reach the sum.
  const float shift = state.peak == -INFINITY ? 0.0f : state.peak;
  const float shrink = before == state.peak ? 1.0f : before == -INFINITY ? 0.0f : expf(before - shift);
  // Rounded before anything is added to it, in whichever function this becomes a part of.
  const volatile float shrunk = state.sum * shrink;
  state.sum = shrunk;
  return {shift, shrink};
}

/** Divides one query's sum of values by the sum of its weights, and notes log Σ exp of its scores. */
STEMMA_INLINE void finishRow(const Attention& a, float* out, int64_t row, RowState state) {
  const bool sees = state.sum != 0;
  if (sees) scaleVector(out, 1.0f / state.sum, a.rule.headDim);
  if (a.logSumExp) a.logSumExp[row] = sees ? state.peak + logf(state.sum) : -INFINITY;
}

/** Keys of a block that is packed, or whose scores are held, for one query or many. */
constexpr int64_t kBlockKeys = 512;

/** Queries of one task, which share what it packs. */
constexpr int64_t kChunk = 264;

/** Fewer queries than this do not repay packing the keys. */
constexpr int64_t kFewQueries = 4;

/** Floats that `attendQuery` needs. */
int64_t queryFloats(const AttentionRule& r);

/** Query i of sequence b, for the heads that read one key-value head. Reads keys and values where they lie. */
void attendQuery(const Attention& a, int64_t b, int64_t group, int64_t i, float* memory);

/** Floats that `attendChunk` needs. */
int64_t chunkFloats(const AttentionRule& r, WeightFormat stored);

/** The same of queries [begin, end), at most kChunk. Packs keys and values. Without rounding the bits are the same, too. */
void attendChunk(const Attention& a, int64_t b, int64_t group, int64_t begin, int64_t end, float* memory);

}  // namespace stemma::STEMMA_ISA
