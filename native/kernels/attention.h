#pragma once

#include <stdint.h>

#include "kernels/random.h"
#include "runtime/weight-format.h"

namespace stemma {

/** Where heads lie: (b, t, h, d) at `data + b·batchStride + t·rowStride + h·headDim + d`. */
struct HeadRows {
  float* data;
  int64_t rowStride;
  int64_t batchStride;
};

/** Which keys a query sees, and how scores become weights: `AttentionRule` in src/backend/kernels.ts. */
struct AttentionRule {
  int64_t batch, heads, keyValueHeads, queries, keys, headDim;
  float scale;
  bool causal;
  /** Rounds the operands of products, as `Matmul::useBfloat16` does; few queries at once are left as they are. */
  bool useBfloat16;
  /** [batch, maskWidth]: start, prefix, keys and, where wider than 3, the first key of each query; or null. */
  const int32_t* mask;
  int64_t maskWidth;
  /** Keys that a query sees, its own included, the rest before it being hidden; 0 hides none. */
  int64_t window;
  /** Scaled scores become cap · tanh(score / cap); 0 leaves them. */
  float cap;
  /** [heads, queries, keys], or null. */
  const float* bias;
  /** [heads]: slope · (key − position of the query) is added to a score; or null. */
  const float* slopes;
  /** Whether weights are dropped, at `rate` by the words of `draw`. */
  bool drops;
  double rate;
  Draw draw;
};

/**
 * Operands of the attention kernel; `logSumExp` [batch, heads, queries] may be null. Keys and values are float32, or both
 * bfloat16: their `data` stands for such numbers then.
 */
struct Attention {
  AttentionRule rule;
  HeadRows query, key, value;
  WeightFormat stored;
  float* out;
  float* logSumExp;
};

/** Numbers of a sequence among others: `RaggedAttention.sequences` in src/backend/fused-kernels.ts. */
struct RaggedSequence {
  int32_t start, prefix, length, firstQuery, queries, firstKey;
};

/**
 * Operands of attention of sequences whose queries lie back to back, and whose keys and values are stretches of one table.
 * Of `rule` only sizes, scale, cap, slopes and window count; `queries` and `keys` are those of all sequences together.
 */
struct RaggedAttention {
  AttentionRule rule;
  const RaggedSequence* sequences;
  int64_t count;
  HeadRows query, key, value;
  WeightFormat stored;
  float* out;
};

/** Operands of its gradient; `dBias` may be null. */
struct AttentionGradient {
  AttentionRule rule;
  HeadRows query, key, value;
  const float* out;
  const float* logSumExp;
  const float* dOut;
  HeadRows dQuery, dKey, dValue;
  float* dBias;
};

}  // namespace stemma
