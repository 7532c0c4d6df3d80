#include "kernels/attention.h"

#include "kernels/attention-parts.h"
#include "kernels/parallel.h"
#include "kernels/weights.h"

namespace stemma::STEMMA_ISA {

namespace {

static_assert(kBlockKeys % kTileColumns == 0, "a block is a whole number of panels");

/** Elements from one row of scores to the next. */
constexpr int64_t kStride = scoreStride(kBlockKeys);

constexpr int64_t panelsOf(int64_t columns) { return (columns + kTileColumns - 1) / kTileColumns; }

/** Memory of one thread. */
struct Parts {
  float* query;  // a tile
  float* keys;
  float* values;
  float* scores;
  float* kept;
  RowState* states;
  float* decoded;  // a block of keys or values that are stored as other than float32

  static int64_t elements(const AttentionRule& r, WeightFormat stored) {
    const int64_t valueColumns = panelsOf(r.headDim) * kTileColumns;
    return (kTileRows + kBlockKeys) * r.headDim + kBlockKeys * valueColumns + kStride * (kTileRows + 1) +
           2 * kChunk * (r.heads / r.keyValueHeads) + (stored == WeightFormat::float32 ? 0 : kBlockKeys * r.headDim);
  }

  Parts(const AttentionRule& r, float* memory) {
    query = memory;
    keys = query + kTileRows * r.headDim;
    values = keys + kBlockKeys * r.headDim;
    scores = values + kBlockKeys * panelsOf(r.headDim) * kTileColumns;
    kept = scores + kStride * kTileRows;
    states = (RowState*)(kept + kStride);
    decoded = kept + kStride + 2 * kChunk * (r.heads / r.keyValueHeads);
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
  const TileKeys keys = tileKeys(own, rows, block);
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

/** A block of one head of keys or values as float32. */
struct HeadBlock {
  const float* data;
  int64_t stride;
};

HeadBlock headBlock(const Attention& a, const HeadRows& rows, const Chunk& c, KeyRange block, float* room) {
  const AttentionRule& r = a.rule;
  if (a.stored == WeightFormat::float32) return {rowOf(rows, r, c.b, block.first, c.group), rows.rowStride};
  const int64_t d = r.headDim, first = c.b * rows.batchStride + block.first * rows.rowStride + c.group * d;
  for (int64_t j = 0; j < block.length(); j++) {
    decodeStretch<WeightFormat::bfloat16>(rows.data, first + j * rows.rowStride, d, room + j * d);
  }
  return {room, d};
}

void attendChunk(const Attention& a, const Chunk& c, const Parts& parts) {
  const AttentionRule& r = a.rule;
  const Format format = formatOf(r);
  const int64_t d = r.headDim, sharing = r.heads / r.keyValueHeads, outStride = r.heads * d;
  const KeyRange all = keysOfQueries(r, c.b, c.begin, c.end);
  for (int64_t i = 0; i < sharing * kChunk; i++) parts.states[i] = {-INFINITY, 0};
  for (int64_t i = c.begin; i < c.end; i++)
    clear(a.out + (c.b * r.queries + i) * outStride + c.group * sharing * d, sharing * d);
  for (KeyRange block = blockAt(all.first, all.end, kBlockKeys); !block.isEmpty();
       block = blockAt(block.end, all.end, kBlockKeys)) {
    const HeadBlock keys = headBlock(a, a.key, c, block, parts.decoded);
    packTransposed(format, keys.data, keys.stride, block.length(), d, parts.keys);
    const HeadBlock values = headBlock(a, a.value, c, block, parts.decoded);
    packColumns(format, values.data, values.stride, block.length(), d, parts.values);
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

/** Attention for few queries. */
void attendFew(const Attention& a, int threads) {
  const AttentionRule& r = a.rule;
  const int64_t tasks = r.batch * r.keyValueHeads * r.queries, elements = queryFloats(r);
  Scratch memory((size_t)((threads < tasks ? threads : tasks) * elements) * sizeof(float));
  parallel(threads, tasks, [&](int64_t task, int slot) {
    const int64_t rest = task / r.queries;
    attendQuery(a, rest / r.keyValueHeads, rest % r.keyValueHeads, task % r.queries, memory.floats() + slot * elements);
  });
}

}  // namespace

int64_t chunkFloats(const AttentionRule& r, WeightFormat stored) { return (Parts::elements(r, stored) + 15) / 16 * 16; }

void attendChunk(const Attention& a, int64_t b, int64_t group, int64_t begin, int64_t end, float* memory) {
  attendChunk(a, Chunk{b, group, begin, end}, Parts(a.rule, memory));
}

/**
 * out = softmax(scale · q kᵀ + bias, masked) v, block of keys after block, with the largest score and the sum of
 * exponentials of each row carried along. @see Dao et al. (2022), algorithm 1, arXiv:2205.14135.
 */
void attention(const Attention& a, int threads) {
  const AttentionRule& r = a.rule;
  if (r.queries < kFewQueries) return attendFew(a, threads);
  const int64_t chunks = (r.queries + kChunk - 1) / kChunk, elements = chunkFloats(r, a.stored);
  const int64_t tasks = r.batch * r.keyValueHeads * chunks;
  Scratch memory((size_t)((threads < tasks ? threads : tasks) * elements) * sizeof(float));
  parallel(threads, tasks, [&](int64_t task, int slot) {
    const int64_t begin = task % chunks * kChunk, end = begin + kChunk < r.queries ? begin + kChunk : r.queries;
    const int64_t b = task / chunks / r.keyValueHeads, group = task / chunks % r.keyValueHeads;
    attendChunk(a, b, group, begin, end, memory.floats() + slot * elements);
  });
}

}  // namespace stemma::STEMMA_ISA
