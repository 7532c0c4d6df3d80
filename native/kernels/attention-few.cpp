#include "kernels/attention-parts.h"
#include "kernels/parallel.h"
#include "kernels/transpose.h"
#include "kernels/weights.h"

namespace stemma::STEMMA_ISA {

namespace {

/** Keys whose scores are held at once. */
constexpr int64_t kKeyBlock = 1024;

/** Where number `at` lies. */
template <WeightFormat kStored>
STEMMA_INLINE const void* placeOf(const void* stored, int64_t at) {
  return (const char*)stored + bytesOf(kStored, at);
}

/** First number of one row of one head of what is stored as kStored. */
template <WeightFormat kStored>
STEMMA_INLINE const void* storedRow(const HeadRows& rows, const AttentionRule& r, int64_t b, int64_t t, int64_t head) {
  return placeOf<kStored>(rows.data, b * rows.batchStride + t * rows.rowStride + head * r.headDim);
}

/** scores[j] = query · key j, for kLanes keys at a time. */
template <WeightFormat kStored>
void scoreKeys(const float* query, const void* keys, int64_t stride, int64_t count, int64_t d, float* scores) {
  for (int64_t j = 0; j < count; j += kLanes) {
    const int64_t some = count - j < kLanes ? count - j : kLanes;
    Vec sums[kLanes] = {};
    for (int64_t k = 0; k < some; k++) {
      const void* key = placeOf<kStored>(keys, (j + k) * stride);
      Vec sum = {};
      forVectors(d, [&](int64_t at, int64_t length) STEMMA_EXPANDED {
        sum = fma(loadSome(query + at, length), loadWeights<kStored>(key, at, length), sum);
      });
      sums[k] = sum;
    }
    transposeSquare(sums);
    for (int half = kLanes / 2; half > 0; half /= 2)
      for (int k = 0; k < half; k++) sums[k] += sums[k + half];
    storeSome(scores + j, sums[0], some);
  }
}

/** out += Σ weights[j] · value j, for `kVectors` vectors of columns, the last of `lastCount` lanes. */
template <WeightFormat kStored, int kVectors>
STEMMA_INLINE void addValues(const float* weights, const void* values, int64_t stride, int64_t count,
                             int64_t lastCount, float* out) {
  Vec sums[2][kVectors] = {};
  for (int64_t j = 0; j < count; j++) {
    const void* value = placeOf<kStored>(values, j * stride);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors - 1; v++) sums[0][v] = fma(broadcast(weights[j]), loadWeights<kStored>(value, v * kLanes, kLanes), sums[0][v]);
    const Vec last = loadWeights<kStored>(value, (kVectors - 1) * kLanes, lastCount);
    sums[0][kVectors - 1] = fma(broadcast(weights[j]), last, sums[0][kVectors - 1]);
    if (++j == count) break;
    value = placeOf<kStored>(value, stride);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors - 1; v++) sums[1][v] = fma(broadcast(weights[j]), loadWeights<kStored>(value, v * kLanes, kLanes), sums[1][v]);
    const Vec next = loadWeights<kStored>(value, (kVectors - 1) * kLanes, lastCount);
    sums[1][kVectors - 1] = fma(broadcast(weights[j]), next, sums[1][kVectors - 1]);
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; v++) {
    const int64_t lanes = v == kVectors - 1 ? lastCount : kLanes;
    storeSome(out + v * kLanes, loadSome(out + v * kLanes, lanes) + (sums[0][v] + sums[1][v]), lanes);
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

template <WeightFormat kStored>
void attendQuery(const Attention& a, int64_t b, int64_t head, int64_t i, float* scores, float* kept) {
  const AttentionRule& r = a.rule;
  const int64_t d = r.headDim, group = head * r.keyValueHeads / r.heads;
  const int64_t row = (b * r.heads + head) * r.queries + i;
  const float* query = rowOf(a.query, r, b, i, head);
  float* out = a.out + ((b * r.queries + i) * r.heads + head) * d;
  memset(out, 0, d * sizeof(float));
  RowState state{-INFINITY, 0};
  const ScoreRule rule = scoreRule(r, b, head, i);
  const KeyRange seen = keysOf(r, b, i);
  for (int64_t first = seen.first; first < seen.end; first += kKeyBlock) {
    const int64_t count = seen.end - first < kKeyBlock ? seen.end - first : kKeyBlock;
    scoreKeys<kStored>(query, storedRow<kStored>(a.key, r, b, first, group), a.key.rowStride, count, d, scores);
    const KeyRange block{first, first + count};
    const NextPeak next = raisePeak(state, finishScores({block, block}, block, scores - first, rule));
    state.sum += exponentiate(scores, next.shift, count);
    if (first > seen.first && next.shrink != 1.0f) scaleVector(out, next.shrink, d);
    if (r.drops) {
      keptWeights(r, row, first, count, kept);
      multiplyRow(scores, kept, count);
    }
    addAllValues<kStored>(scores, storedRow<kStored>(a.value, r, b, first, group), a.value.rowStride, count, d, out);
  }
  finishRow(a, out, row, state);
}

}  // namespace

void attendFew(const Attention& a, int threads) {
  const AttentionRule& r = a.rule;
  const int64_t tasks = r.batch * r.heads;
  const auto attend = a.stored == WeightFormat::float32 ? &attendQuery<WeightFormat::float32>
                                                        : &attendQuery<WeightFormat::bfloat16>;
  Scratch memory((size_t)(threads < tasks ? threads : tasks) * 2 * scoreStride(kKeyBlock) * sizeof(float));
  parallel(threads, tasks, [&](int64_t task, int slot) {
    float* scores = memory.floats() + slot * 2 * scoreStride(kKeyBlock);
    for (int64_t i = 0; i < r.queries; i++)
      attend(a, task / r.heads, task % r.heads, i, scores, scores + scoreStride(kKeyBlock));
  });
}

}  // namespace stemma::STEMMA_ISA
