#include "kernels/attention-parts.h"
#include "kernels/parallel.h"
#include "kernels/transpose.h"
#include "kernels/weights.h"

namespace stemma::STEMMA_ISA {

namespace {

/** Heads whose scores are computed together, from one reading of the keys. */
constexpr int kHeadsAtOnce = 4;

/** Keys and values that are asked for ahead of use: the rows of a head lie apart, which no processor sees coming. */
constexpr int64_t kRowsAhead = 32;

/** Elements from one head's scores to the next. */
constexpr int64_t kStride = scoreStride(kBlockKeys);

/** Where number `at` lies. */
template <WeightFormat kStored>
STEMMA_INLINE const void* placeOf(const void* stored, int64_t at) {
  return (const char*)stored + bytesOf(kStored, at);
}

/** Asks for kLanes numbers from number `at` on, once for every line of memory. */
template <WeightFormat kStored>
STEMMA_INLINE void askFor(const void* stored, int64_t at) {
  if ((uint64_t)bytesOf(kStored, at) % 64 < (uint64_t)bytesOf(kStored, kLanes)) __builtin_prefetch(placeOf<kStored>(stored, at));
}

/** First number of one row of one head of what is stored as kStored. */
template <WeightFormat kStored>
STEMMA_INLINE const void* storedRow(const HeadRows& rows, const AttentionRule& r, int64_t b, int64_t t, int64_t head) {
  return placeOf<kStored>(rows.data, b * rows.batchStride + t * rows.rowStride + head * r.headDim);
}

/**
 * Products of the queries of kHeads heads, side by side, with `count` keys: a lane for each key, so that each product is
 * summed in the order of its dimensions, as a tile does.
 */
template <WeightFormat kStored, int kHeads>
void scoreKeys(const float* queries, const void* keys, int64_t stride, int64_t count, int64_t d, float* scores) {
  for (int64_t j = 0; j < count; j += kLanes) {
    const int64_t some = count - j < kLanes ? count - j : kLanes;
    const void* const next = placeOf<kStored>(keys, (j + kRowsAhead < count ? j + kRowsAhead : j) * stride);
    Vec sums[kHeads] = {};
    forVectors(d, [&](int64_t at, int64_t length) STEMMA_EXPANDED {
#pragma GCC unroll 16
      for (int k = 0; k < kLanes; k++) askFor<kStored>(placeOf<kStored>(next, k * stride), at);
      Vec square[kLanes];
      if (kStored == WeightFormat::float32 && some == kLanes && length == kLanes) {
        loadTransposed((const char*)((const float*)keys + j * stride + at), stride * 4, square);
      } else {
        for (int k = 0; k < kLanes; k++) {
          square[k] = k < some ? loadWeights<kStored>(placeOf<kStored>(keys, (j + k) * stride), at, length) : Vec{};
        }
        transposeSquare(square);
      }
      const float* query = queries + at;
      if (length == kLanes) {
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; i++) {
#pragma GCC unroll 4
          for (int h = 0; h < kHeads; h++) sums[h] = fma(broadcast(query[h * d + i]), square[i], sums[h]);
        }
      } else {
        for (int i = 0; i < length; i++) {
#pragma GCC unroll 4
          for (int h = 0; h < kHeads; h++) sums[h] = fma(broadcast(query[h * d + i]), square[i], sums[h]);
        }
      }
    });
#pragma GCC unroll 4
    for (int h = 0; h < kHeads; h++) storeSome(scores + h * kStride + j, sums[h], some);
  }
}

/** The same for any number of heads. */
template <WeightFormat kStored>
void scoreHeads(const float* queries, int64_t heads, const void* keys, int64_t stride, int64_t count, int64_t d,
                float* scores) {
  for (int64_t h = 0; h < heads; h += kHeadsAtOnce) {
    const float* own = queries + h * d;
    float* to = scores + h * kStride;
    switch (heads - h) {
      case 1: scoreKeys<kStored, 1>(own, keys, stride, count, d, to); break;
      case 2: scoreKeys<kStored, 2>(own, keys, stride, count, d, to); break;
      case 3: scoreKeys<kStored, 3>(own, keys, stride, count, d, to); break;
      default: scoreKeys<kStored, kHeadsAtOnce>(own, keys, stride, count, d, to);
    }
  }
}

/** out += Σ weights[j] · value j, for `kVectors` vectors of columns, the last of `lastCount` lanes. */
template <WeightFormat kStored, int kVectors>
STEMMA_INLINE void addValues(const float* weights, const void* values, int64_t stride, int64_t count,
                             int64_t lastCount, float* out) {
  Vec sums[kVectors] = {};
  for (int64_t j = 0; j < count; j++) {
    const void* value = placeOf<kStored>(values, j * stride);
    const void* next = placeOf<kStored>(values, (j + kRowsAhead < count ? j + kRowsAhead : j) * stride);
    const Vec weight = broadcast(weights[j]);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) askFor<kStored>(next, v * kLanes);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors - 1; v++) {
      sums[v] = fma(weight, loadWeights<kStored>(value, v * kLanes, kLanes), sums[v]);
    }
    const Vec last = loadWeights<kStored>(value, (kVectors - 1) * kLanes, lastCount);
    sums[kVectors - 1] = fma(weight, last, sums[kVectors - 1]);
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; v++) {
    const int64_t lanes = v == kVectors - 1 ? lastCount : kLanes;
    storeSome(out + v * kLanes, loadSome(out + v * kLanes, lanes) + sums[v], lanes);
  }
}

template <WeightFormat kStored>
void addAllValues(const float* weights, const void* values, int64_t stride, int64_t count, int64_t d, float* out) {
  constexpr int64_t kColumns = 4 * kLanes;
  for (int64_t at = 0; at < d; at += kColumns) {
    const int64_t left = d - at < kColumns ? d - at : kColumns, vectors = (left + kLanes - 1) / kLanes;
    const int64_t last = left - (vectors - 1) * kLanes;
    const void* columns = placeOf<kStored>(values, at);
    if (vectors == 4) addValues<kStored, 4>(weights, columns, stride, count, last, out + at);
    else if (vectors == 3) addValues<kStored, 3>(weights, columns, stride, count, last, out + at);
    else if (vectors == 2) addValues<kStored, 2>(weights, columns, stride, count, last, out + at);
    else addValues<kStored, 1>(weights, columns, stride, count, last, out + at);
  }
}

/** Memory of one query: the scores of each head that shares a key-value head, what dropout keeps, and their states. */
struct QueryParts {
  float* scores;
  float* kept;
  RowState* states;

  QueryParts(const AttentionRule& r, float* memory)
      : scores(memory),
        kept(memory + r.heads / r.keyValueHeads * kStride),
        states((RowState*)(kept + kStride)) {}
};

/** Adds what one head's query sees of a block of keys, whose products are in `scores`. */
template <WeightFormat kStored>
void addBlock(const Attention& a, int64_t b, int64_t head, int64_t i, KeyRange seen, KeyRange block, float* scores,
              const QueryParts& parts, RowState& state) {
  const AttentionRule& r = a.rule;
  const int64_t d = r.headDim, group = head * r.keyValueHeads / r.heads;
  float* out = a.out + ((b * r.queries + i) * r.heads + head) * d;
  const bool isFirst = state.peak == -INFINITY;
  const KeyRange common{seen.first > block.first ? seen.first : block.first, block.end};
  const float peak = finishScores({block, common}, seen, scores - block.first, scoreRule(r, b, head, i));
  const NextPeak next = raisePeak(state, peak);
  state.sum += exponentiate(scores, next.shift, block.length());
  if (!isFirst && next.shrink != 1.0f) scaleVector(out, next.shrink, d);
  if (r.drops) {
    keptWeights(r, (b * r.heads + head) * r.queries + i, block.first, block.length(), parts.kept);
    multiplyRow(scores, parts.kept, block.length());
  }
  const int64_t before = common.first - block.first;
  const void* values = storedRow<kStored>(a.value, r, b, common.first, group);
  addAllValues<kStored>(scores + before, values, a.value.rowStride, common.length(), d, out);
}

template <WeightFormat kStored>
void attend(const Attention& a, int64_t b, int64_t group, int64_t i, const QueryParts& parts) {
  const AttentionRule& r = a.rule;
  const int64_t d = r.headDim, sharing = r.heads / r.keyValueHeads, first = group * sharing;
  const float* queries = rowOf(a.query, r, b, i, first);
  memset(a.out + ((b * r.queries + i) * r.heads + first) * d, 0, sharing * d * sizeof(float));
  for (int64_t h = 0; h < sharing; h++) parts.states[h] = {-INFINITY, 0};
  const KeyRange seen = keysOf(r, b, i);
  for (KeyRange block = blockAt(seen.first, seen.end, kBlockKeys); !block.isEmpty();
       block = blockAt(block.end, seen.end, kBlockKeys)) {
    const void* keys = storedRow<kStored>(a.key, r, b, block.first, group);
    scoreHeads<kStored>(queries, sharing, keys, a.key.rowStride, block.length(), d, parts.scores);
    for (int64_t h = 0; h < sharing; h++) {
      addBlock<kStored>(a, b, first + h, i, seen, block, parts.scores + h * kStride, parts, parts.states[h]);
    }
  }
  for (int64_t h = 0; h < sharing; h++) {
    const int64_t head = first + h;
    float* out = a.out + ((b * r.queries + i) * r.heads + head) * d;
    finishRow(a, out, (b * r.heads + head) * r.queries + i, parts.states[h]);
  }
}

}  // namespace

int64_t queryFloats(const AttentionRule& r) {
  const int64_t sharing = r.heads / r.keyValueHeads;
  return ((sharing + 1) * kStride + 2 * sharing + 15) / 16 * 16;
}

void attendQuery(const Attention& a, int64_t b, int64_t group, int64_t i, float* memory) {
  const QueryParts parts(a.rule, memory);
  if (a.stored == WeightFormat::float32) attend<WeightFormat::float32>(a, b, group, i, parts);
  else attend<WeightFormat::bfloat16>(a, b, group, i, parts);
}

}  // namespace stemma::STEMMA_ISA
