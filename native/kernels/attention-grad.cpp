#include "kernels/attention-parts.h"
#include "kernels/parallel.h"

namespace stemma::STEMMA_ISA {

namespace {

/** Queries and keys whose weights are held at once. */
constexpr int64_t kQueryBlock = 48;
constexpr int64_t kKeyBlock = 256;
/** Elements from one row of weights to the next. */
constexpr int64_t kStride = scoreStride(kKeyBlock);
static_assert(kQueryBlock % kTileRows == 0 && kKeyBlock % kTileColumns == 0, "blocks are made of whole tiles");

constexpr int64_t padded(int64_t columns) { return (columns + kTileColumns - 1) / kTileColumns * kTileColumns; }

/** Memory of one thread. Keys and values are packed from key `first` on, `count` of them. */
struct Parts {
  float* keysAcross;    // for q kᵀ
  float* valuesAcross;  // for dO vᵀ
  float* keysAlong;     // for ds k
  float* queries;       // for dsᵀ q
  float* dOut;          // for pᵀ dO
  float* weights;
  float* dScores;
  float* kept;
  float* room;  // for the left operand of a tile
  float delta[kQueryBlock];
  float logSumExp[kQueryBlock];
  KeyRange own[kQueryBlock];
  int64_t first;
  int64_t count;

  static int64_t elements(const AttentionRule& r) {
    return padded(r.keys) * 2 * r.headDim + (r.keys + 2 * kQueryBlock) * padded(r.headDim) +
           (2 * kQueryBlock + 1) * kStride + kTileRows * (r.headDim > kKeyBlock ? r.headDim : kKeyBlock);
  }

  Parts(const AttentionRule& r, float* memory) {
    keysAcross = memory;
    valuesAcross = keysAcross + padded(r.keys) * r.headDim;
    keysAlong = valuesAcross + padded(r.keys) * r.headDim;
    queries = keysAlong + r.keys * padded(r.headDim);
    dOut = queries + kQueryBlock * padded(r.headDim);
    weights = dOut + kQueryBlock * padded(r.headDim);
    dScores = weights + kQueryBlock * kStride;
    kept = dScores + kQueryBlock * kStride;
    room = kept + kStride;
  }
};

/** Queries [begin, begin + rows) of one head of one sequence. */
struct Queries {
  int64_t b, head, begin, rows;
};

/**
 * Σⱼ p dp of one query, as dO · out. dO is rounded here as it is for dp: else a gradient would remain where the two
 * cancel, as for a query that sees one key.
 */
STEMMA_INLINE float deltaOf(Format format, const float* dOut, const float* out, int64_t length) {
  Vec sum = {};
  forVectors(length, [&](int64_t i, int64_t count) STEMMA_EXPANDED {
    const Vec x = loadSome(dOut + i, count);
    sum = fma(format == Format::float32 ? x : roundToBfloat16(x), loadSome(out + i, count), sum);
  });
  return sumLanes(sum);
}

/**
 * From products and dp = dO · v of one query: weights p ⊙ m and the gradient of the products, which is
 * scale · p ⊙ (m ⊙ dp − delta), times 1 − tanh² where scores are capped; m is `kept`, or 1 when that is null; 0 at keys
 * it does not see. Adds the gradient of the bias to `dBias` where that is not null. All rows are those of key 0.
 */
STEMMA_INLINE void gradRow(const TileKeys& keys, KeyRange own, float* weights, float* dScores, const ScoreRule& rule,
                           const float* kept, float logSumExp, float delta, float* dBias) {
  forSeen(keys, own, [&](int64_t j, int64_t count, int64_t room, auto&& mask) STEMMA_EXPANDED {
    const Vec zero = {};
    const Vec product = loadSome(weights + j, count);
    const Vec weight = mask(exp(scoresOf(rule, product, j, count) - logSumExp), zero);
    Vec passed = weight, dWeight = loadSome(dScores + j, count);
    if (kept) {
      const Vec keep = loadSome(kept + j, count);
      passed *= keep;
      dWeight *= keep;
    }
    const Vec dScore = mask(weight * (dWeight - delta), zero);
    if (dBias) storeSome(dBias + j, loadSome(dBias + j, count) + dScore, count);
    storeSome(weights + j, passed, room);
    Vec dProduct = dScore * rule.scale;
    if (rule.cap != 0) {
      const Vec saturated = saturation(rule, product);
      dProduct = mask(dProduct * (1.0f - saturated * saturated), zero);
    }
    storeSome(dScores + j, dProduct, room);
  });
}

/** Turns scores and dp of `rows` queries from row t of the block on into weights and dScores, 0 outside `keys`. */
void gradWeights(const AttentionGradient& g, const Queries& q, int64_t t, int64_t rows, KeyRange block,
                 const TileKeys& keys, const Parts& parts) {
  const AttentionRule& r = g.rule;
  for (int64_t i = t; i < t + rows; i++) {
    float *weights = parts.weights + i * kStride, *dScores = parts.dScores + i * kStride;
    clear(weights, keys.any.first - block.first);
    clear(dScores, keys.any.first - block.first);
    clear(weights + keys.any.end - block.first, block.end - keys.any.end);
    clear(dScores + keys.any.end - block.first, block.end - keys.any.end);
    if (r.drops) {
      const int64_t row = (q.b * r.heads + q.head) * r.queries + q.begin + i;
      keptWeights(r, row, keys.any.first, keys.any.length(), parts.kept);
    }
    gradRow(keys, parts.own[i], weights - block.first, dScores - block.first, scoreRule(r, q.b, q.head, q.begin + i),
            r.drops ? parts.kept - keys.any.first : nullptr, parts.logSumExp[i], parts.delta[i],
            g.dBias ? g.dBias + (q.head * r.queries + q.begin + i) * r.keys : nullptr);
  }
}

/** Fills weights and dScores of up to kTileRows queries, from row t of the block on, and adds to their dQuery. */
void gradRows(const AttentionGradient& g, const Queries& q, int64_t t, KeyRange block, const Parts& parts) {
  const AttentionRule& r = g.rule;
  const Format format = formatOf(r);
  const int64_t d = r.headDim, rows = q.rows - t < kTileRows ? q.rows - t : kTileRows, outStride = r.heads * d;
  const TileKeys keys = tileKeys(parts.own + t, rows, block);
  const int64_t first = keys.any.first - block.first, end = keys.any.end - block.first;
  float *weights = parts.weights + t * kStride, *dScores = parts.dScores + t * kStride;
  auto multiply = [&](const float* x, int64_t rowStride, const float* across, float* out) {
    const TileRows left = leftOperand(format, x, rowStride, rows, d, parts.room);
    const int64_t units = unitsOf(format, d);
    for (int64_t j = first / kTileColumns * kTileColumns; j < end; j += kTileColumns) {
      tileProduct(format, left, across + (block.first + j - parts.first) * units, units, out + j, kStride, rows,
                  kTileColumns, false);
    }
  };
  multiply(rowOf(g.query, r, q.b, q.begin + t, q.head), g.query.rowStride, parts.keysAcross, weights);
  multiply(g.dOut + (q.b * r.queries + q.begin + t) * outStride + q.head * d, outStride, parts.valuesAcross, dScores);
  gradWeights(g, q, t, rows, block, keys, parts);
  if (end == first) return;
  const TileRows left = leftOperand(format, dScores + first, kStride, rows, end - first, parts.room);
  const int64_t before = (keys.any.first - parts.first) / unitWidth(format);
  float* dQuery = rowOf(g.dQuery, r, q.b, q.begin + t, q.head);
  for (int64_t column = 0; column < d; column += kTileColumns) {
    const int64_t columns = d - column < kTileColumns ? d - column : kTileColumns;
    const float* along = parts.keysAlong + column * unitsOf(format, parts.count) + before * kTileColumns;
    tileProduct(format, left, along, unitsOf(format, end - first), dQuery + column, g.dQuery.rowStride, rows, columns,
                true);
  }
}

/** Adds what the block's queries give to dKey and dValue, tile of keys by tile. */
void gradKeys(const AttentionGradient& g, const Queries& q, KeyRange block, const Parts& parts) {
  const AttentionRule& r = g.rule;
  const Format format = formatOf(r);
  const int64_t d = r.headDim, group = q.head * r.keyValueHeads / r.heads, width = unitWidth(format);
  packAcross(format, parts.weights, kStride, q.rows, block.length());
  packAcross(format, parts.dScores, kStride, q.rows, block.length());
  for (int64_t j = block.first; j < block.end; j += kTileRows) {
    const KeyRange tile{j, j + kTileRows < block.end ? j + kTileRows : block.end};
    int64_t begin = 0, end = q.rows;
    while (begin < end && within(parts.own[begin], tile).isEmpty()) begin++;
    while (begin < end && within(parts.own[end - 1], tile).isEmpty()) end--;
    if (begin == end) continue;
    const int64_t unit = begin / width, units = unitsOf(format, end) - unit, at = unit * kStride + j - block.first;
    float *dKey = rowOf(g.dKey, r, q.b, j, group), *dValue = rowOf(g.dValue, r, q.b, j, group);
    for (int64_t column = 0; column < d; column += kTileColumns) {
      const int64_t columns = d - column < kTileColumns ? d - column : kTileColumns;
      const int64_t from = column * unitsOf(format, q.rows) + unit * kTileColumns;
      tileProduct(format, {parts.weights + at, 1, kStride}, parts.dOut + from, units, dValue + column,
                  g.dValue.rowStride, tile.length(), columns, true);
      tileProduct(format, {parts.dScores + at, 1, kStride}, parts.queries + from, units, dKey + column,
                  g.dKey.rowStride, tile.length(), columns, true);
    }
  }
}

void gradBlock(const AttentionGradient& g, const Queries& q, Parts& parts) {
  const AttentionRule& r = g.rule;
  const Format format = formatOf(r);
  const int64_t d = r.headDim, outStride = r.heads * d;
  const int64_t at = (q.b * r.queries + q.begin) * outStride + q.head * d;
  for (int64_t i = 0; i < q.rows; i++) {
    clear(rowOf(g.dQuery, r, q.b, q.begin + i, q.head), d);
    parts.own[i] = keysOf(r, q.b, q.begin + i);
    parts.delta[i] = deltaOf(format, g.dOut + at + i * outStride, g.out + at + i * outStride, d);
    const float sum = g.logSumExp[(q.b * r.heads + q.head) * r.queries + q.begin + i];
    parts.logSumExp[i] = sum == -INFINITY ? INFINITY : sum;  // sees nothing: every weight is 0
  }
  const KeyRange seen = keysOfQueries(r, q.b, q.begin, q.begin + q.rows);
  if (seen.isEmpty()) return;
  packColumns(format, rowOf(g.query, r, q.b, q.begin, q.head), g.query.rowStride, q.rows, d, parts.queries);
  packColumns(format, g.dOut + at, outStride, q.rows, d, parts.dOut);
  const int64_t start = parts.first + (seen.first - parts.first) / kTileColumns * kTileColumns;
  for (int64_t first = start; first < seen.end; first += kKeyBlock) {
    const KeyRange block{first, first + kKeyBlock < seen.end ? first + kKeyBlock : seen.end};
    for (int64_t t = 0; t < q.rows; t += kTileRows) gradRows(g, q, t, block, parts);
    gradKeys(g, q, block, parts);
  }
}

/** Everything of one sequence that one key-value head takes part in. */
void gradGroup(const AttentionGradient& g, int64_t b, int64_t group, Parts& parts) {
  const AttentionRule& r = g.rule;
  const int64_t d = r.headDim, sharing = r.heads / r.keyValueHeads;
  for (int64_t j = 0; j < r.keys; j++) {
    clear(rowOf(g.dKey, r, b, j, group), d);
    clear(rowOf(g.dValue, r, b, j, group), d);
  }
  const KeyRange all = keysOfQueries(r, b, 0, r.queries);
  parts.first = all.first;
  parts.count = all.length();
  if (!all.isEmpty()) {
    const float* keys = rowOf(g.key, r, b, all.first, group);
    const Format format = formatOf(r);
    packTransposed(format, keys, g.key.rowStride, all.length(), d, parts.keysAcross);
    packColumns(format, keys, g.key.rowStride, all.length(), d, parts.keysAlong);
    const float* values = rowOf(g.value, r, b, all.first, group);
    packTransposed(format, values, g.value.rowStride, all.length(), d, parts.valuesAcross);
  }
  for (int64_t head = group * sharing; head < (group + 1) * sharing; head++) {
    for (int64_t i = 0; i < r.queries; i += kQueryBlock)
      gradBlock(g, {b, head, i, r.queries - i < kQueryBlock ? r.queries - i : kQueryBlock}, parts);
  }
}

}  // namespace

/**
 * Weights are computed again from log Σ exp of each row. One task owns a key-value head, and with it dKey and dValue,
 * to which its query heads add in order; the gradient of the bias sums over sequences, so with one a task owns that head
 * of all of them. @see Dao et al. (2022), algorithm 4, arXiv:2205.14135.
 */
void attentionGrad(const AttentionGradient& g, int threads) {
  const AttentionRule& r = g.rule;
  const int64_t elements = (Parts::elements(r) + 15) / 16 * 16, sharing = r.heads / r.keyValueHeads;
  const int64_t tasks = g.dBias ? r.keyValueHeads : r.batch * r.keyValueHeads;
  Scratch memory((size_t)((threads < tasks ? threads : tasks) * elements) * sizeof(float));
  parallel(threads, tasks, [&](int64_t task, int slot) {
    Parts parts(r, memory.floats() + slot * elements);
    if (!g.dBias) return gradGroup(g, task / r.keyValueHeads, task % r.keyValueHeads, parts);
    const int64_t each = r.queries * r.keys;
    memset(g.dBias + task * sharing * each, 0, sharing * each * sizeof(float));
    for (int64_t b = 0; b < r.batch; b++) gradGroup(g, b, task, parts);
  });
}

}  // namespace stemma::STEMMA_ISA
