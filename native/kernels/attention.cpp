#include "kernels/attention.h"

#include "kernels/attention-parts.h"
#include "kernels/parallel.h"
#include "kernels/weights.h"

namespace stemma::STEMMA_ISA {

void attention(const Attention& a, int threads);

namespace {

/** Keys that are packed at once. */
constexpr int64_t kKeyBlock = 512;
static_assert(kKeyBlock % kTileColumns == 0, "a block is a whole number of panels");

/** Elements from one row of scores to the next. */
constexpr int64_t kStride = scoreStride(kKeyBlock);

/** Queries of one task, which share what it packs. */
constexpr int64_t kChunk = 264;

/** Fewer queries than this do not repay packing the keys. */
constexpr int64_t kFewQueries = 4;

constexpr int64_t panelsOf(int64_t columns) { return (columns + kTileColumns - 1) / kTileColumns; }

/** Memory of one thread. */
struct Parts {
  float* query;  // a tile
  float* keys;
  float* values;
  float* scores;
  float* kept;
  RowState* states;

  static int64_t elements(const AttentionRule& r) {
    const int64_t valueColumns = panelsOf(r.headDim) * kTileColumns;
    return (kTileRows + kKeyBlock) * r.headDim + kKeyBlock * valueColumns + kStride * (kTileRows + 1) +
           2 * kChunk * (r.heads / r.keyValueHeads);
  }

  Parts(const AttentionRule& r, float* memory) {
    query = memory;
    keys = query + kTileRows * r.headDim;
    values = keys + kKeyBlock * r.headDim;
    scores = values + kKeyBlock * panelsOf(r.headDim) * kTileColumns;
    kept = scores + kStride * kTileRows;
    states = (RowState*)(kept + kStride);
  }
};

/** Queries [begin, end) of one sequence, for the heads that read one key-value head. */
struct Chunk {
  int64_t b, group, begin, end;
};

/** Turns the scores of `rows` queries with the keys of a block into weights; `scores` is that of key 0 and the first. */
void weighRows(const Attention& a, const Chunk& c, int64_t head, int64_t i, int64_t rows, const TileKeys& keys,
               const KeyRange* own, float* scores, const Parts& parts, RowState* states) {
  const AttentionRule& r = a.rule;
  const int64_t outStride = r.heads * r.headDim, length = keys.any.length();
  float* out = a.out + (c.b * r.queries + i) * outStride + head * r.headDim;
  float peaks[kTileRows];
  for (int64_t t = 0; t < rows; t++) {
    peaks[t] = finishScores(keys, own[t], scores + t * kStride, scoreRule(r, c.b, head, i + t));
  }
  for (int64_t t = 0; t < rows; t++) {
    const bool isFirst = states[t].peak == -INFINITY;
    const NextPeak next = raisePeak(states[t], peaks[t]);
    float* weights = scores + t * kStride + keys.any.first;
    states[t].sum += exponentiate(weights, next.shift, length);
    if (!isFirst && next.shrink != 1.0f) scaleVector(out + t * outStride, next.shrink, r.headDim);
    if (!r.drops) continue;
    keptWeights(r, (c.b * r.heads + head) * r.queries + i + t, keys.any.first, length, parts.kept);
    multiplyRow(weights, parts.kept, length);
  }
}

/** Adds what `rows` queries of one head from i on see of a packed block. */
void attendRows(const Attention& a, const Chunk& c, int64_t head, int64_t i, int64_t rows, KeyRange block,
                const Parts& parts, RowState* states) {
  const AttentionRule& r = a.rule;
  const Format format = formatOf(r);
  const int64_t d = r.headDim, outStride = r.heads * d, units = unitsOf(format, d);
  KeyRange own[kTileRows];
  for (int64_t t = 0; t < rows; t++) own[t] = keysOf(r, c.b, i + t);
  const TileKeys keys = tileKeys(format, own, rows, block);
  const int64_t first = keys.any.first - block.first, end = keys.any.end - block.first;
  if (end == first) return;
  const TileRows query =
      leftOperand(format, rowOf(a.query, r, c.b, i, head), a.query.rowStride, rows, d, parts.query);
  for (int64_t panel = first / kTileColumns; panel * kTileColumns < end; panel++) {
    tileProduct(format, query, parts.keys + panel * kTileColumns * units, units, parts.scores + panel * kTileColumns,
                kStride, rows, kTileColumns, false);
  }
  weighRows(a, c, head, i, rows, keys, own, parts.scores - block.first, parts, states);
  const TileRows weights = leftOperand(format, parts.scores + first, kStride, rows, end - first, parts.scores);
  float* out = a.out + (c.b * r.queries + i) * outStride + head * d;
  for (int64_t column = 0; column < d; column += kTileColumns) {
    const int64_t columns = d - column < kTileColumns ? d - column : kTileColumns;
    const float* values =
        parts.values + column * unitsOf(format, block.length()) + first / unitWidth(format) * kTileColumns;
    tileProduct(format, weights, values, unitsOf(format, end - first), out + column, outStride, rows, columns, true);
  }
}

void attendChunk(const Attention& a, const Chunk& c, const Parts& parts) {
  const AttentionRule& r = a.rule;
  const Format format = formatOf(r);
  const int64_t d = r.headDim, sharing = r.heads / r.keyValueHeads, outStride = r.heads * d;
  const KeyRange all = keysOfQueries(r, c.b, c.begin, c.end);
  for (int64_t i = 0; i < sharing * kChunk; i++) parts.states[i] = {-INFINITY, 0};
  for (int64_t i = c.begin; i < c.end; i++)
    clear(a.out + (c.b * r.queries + i) * outStride + c.group * sharing * d, sharing * d);
  for (int64_t first = all.first; first < all.end; first += kKeyBlock) {
    const KeyRange block{first, first + kKeyBlock < all.end ? first + kKeyBlock : all.end};
    packTransposed(format, rowOf(a.key, r, c.b, first, c.group), a.key.rowStride, block.length(), d, parts.keys);
    packColumns(format, rowOf(a.value, r, c.b, first, c.group), a.value.rowStride, block.length(), d, parts.values);
    for (int64_t h = 0; h < sharing; h++) {
      for (int64_t i = c.begin; i < c.end; i += kTileRows) {
        const int64_t rows = c.end - i < kTileRows ? c.end - i : kTileRows;
        attendRows(a, c, c.group * sharing + h, i, rows, block, parts, parts.states + h * kChunk + i - c.begin);
      }
    }
  }
  for (int64_t h = 0; h < sharing; h++) {
    const int64_t head = c.group * sharing + h;
    for (int64_t i = c.begin; i < c.end; i++) {
      float* out = a.out + (c.b * r.queries + i) * outStride + head * d;
      finishRow(a, out, (c.b * r.heads + head) * r.queries + i, parts.states[h * kChunk + i - c.begin]);
    }
  }
}

/** Keys or values of all sequences up to `end`, as float32 and side by side. */
HeadRows decoded(const AttentionRule& r, const HeadRows& rows, int64_t end, float* to, int threads) {
  const int64_t width = r.keyValueHeads * r.headDim;
  parallelRows(threads, r.batch * end, width, [&](int64_t row) {
    const int64_t from = row / end * rows.batchStride + row % end * rows.rowStride;
    decodeStretch<WeightFormat::bfloat16>(rows.data, from, width, to + row * width);
  });
  return {to, width, end * width};
}

/** Attention to stored keys and values, which many queries repay decoding. */
void attendStored(const Attention& a, int threads) {
  const AttentionRule& r = a.rule;
  int64_t end = 0;
  for (int64_t b = 0; b < r.batch; b++) {
    const KeyRange seen = keysOfQueries(r, b, 0, r.queries);
    if (seen.end > end) end = seen.end;
  }
  const int64_t elements = (r.batch * end * r.keyValueHeads * r.headDim + 15) / 16 * 16;
  const Scratch memory((size_t)(2 * elements) * sizeof(float));
  Attention plain = a;
  plain.stored = WeightFormat::float32;
  plain.key = decoded(r, a.key, end, memory.floats(), threads);
  plain.value = decoded(r, a.value, end, memory.floats() + elements, threads);
  attention(plain, threads);
}

}  // namespace

/**
 * out = softmax(scale · q kᵀ + bias, masked) v, block of keys after block, with the largest score and the sum of
 * exponentials of each row carried along. @see Dao et al. (2022), algorithm 1, arXiv:2205.14135.
 */
void attention(const Attention& a, int threads) {
  const AttentionRule& r = a.rule;
  if (r.queries < kFewQueries) return attendFew(a, threads);
  if (a.stored != WeightFormat::float32) return attendStored(a, threads);
  const int64_t chunks = (r.queries + kChunk - 1) / kChunk, elements = (Parts::elements(r) + 15) / 16 * 16;
  const int64_t tasks = r.batch * r.keyValueHeads * chunks;
  Scratch memory((size_t)((threads < tasks ? threads : tasks) * elements) * sizeof(float));
  parallel(threads, tasks, [&](int64_t task, int slot) {
    const int64_t begin = task % chunks * kChunk, end = begin + kChunk < r.queries ? begin + kChunk : r.queries;
    const Chunk chunk{task / chunks / r.keyValueHeads, task / chunks % r.keyValueHeads, begin, end};
    attendChunk(a, chunk, Parts(r, memory.floats() + slot * elements));
  });
}

}  // namespace stemma::STEMMA_ISA
