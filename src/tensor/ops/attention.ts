import type { AttentionRule, HeadRows } from "../../backend/fused-kernels.ts";
import { ShapeError } from "../../core/errors.ts";
import type { Draw } from "../../core/random.ts";
import type { Shape } from "../../core/shape.ts";
import { formatShape, sameShape } from "../../core/shape.ts";
import type { Op } from "../op.ts";
import { apply, defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import type { AttentionMask } from "./attention-mask.ts";
import { isVisible, withMaskView } from "./attention-mask.ts";
import { dropout } from "./dropout.ts";

/** How queries meet keys. */
export interface AttentionAttrs {
  readonly heads: number;
  /** Heads of keys and values; a divisor of `heads`. */
  readonly keyValueHeads: number;
  /** Multiplies the scores: 1/√headDim in most models, 1 in T5. */
  readonly scale: number;
  readonly mask: AttentionMask;
  /** Scaled scores become cap · tanh(score / cap), as in Gemma 2; without, they stay. */
  readonly cap?: number | null;
  /** `[heads]`: slope · (key − query) positions is added to the scores, as in ALiBi; Press et al. (2022), arXiv:2108.12409. */
  readonly slopes?: Tensor | null;
  /** Drops attention weights. */
  readonly dropout: { readonly rate: number; readonly draw: Draw } | null;
}

type Qkv = [qkv: Tensor, bias: Tensor | null];
type Separate = [query: Tensor, key: Tensor, value: Tensor, bias: Tensor | null];

/**
 * Multi-head attention of a sequence to itself, from one packed projection:
 * y = softmax(scale · q kᵀ + bias, masked) v for each head.
 *
 * Shapes: qkv `[batch, time, (heads + 2 · keyValueHeads) · headDim]` (queries, then keys, then values), bias
 * `[heads, time, time]` → `[batch, time, heads · headDim]`. A query that sees no key gives zeros.
 * The fused kernel works in tiles and never holds `[time, time]` for a whole batch; its gradient recomputes the weights
 * from log Σ exp of each row.
 *
 * @throws {ShapeError} when the width is not a multiple of the number of heads.
 * @see Vaswani et al. (2017), equation 1, arXiv:1706.03762; Dao et al. (2022), algorithms 1 and 4, arXiv:2205.14135.
 */
export const selfAttention: Op<Qkv, AttentionAttrs> = defineOp({
  name: "selfAttention",
  fused: ["attention", "attentionGrad"],
  infer([qkv, bias], attrs) {
    const headDim = packedHeadDim(qkv, attrs);
    const [batch, time] = [qkv.axis(0), qkv.axis(1)];
    checkBias("selfAttention", bias, [attrs.heads, time, time]);
    return [batch, time, attrs.heads * headDim];
  },
  auxiliary: ([qkv], { heads }) => [[qkv.axis(0), heads, qkv.axis(1)]],
  run(kernels, [qkv, bias], out, attrs, [logSumExp = null]) {
    withRule(qkv, qkv, packedHeadDim(qkv, attrs), bias, attrs, (rule) =>
      kernels.attention({ ...rule, ...packed(qkv, attrs), out, logSumExp }),
    );
  },
  grad(dy, { inputs: [qkv, bias], output: out, auxiliary: [logSumExp], kernels }, attrs) {
    const dQkv = qkv.blank();
    const dBias = bias?.requiresGrad ? bias.blank() : null;
    const { query: dQuery, key: dKey, value: dValue } = packed(dQkv, attrs);
    withRule(qkv, qkv, packedHeadDim(qkv, attrs), bias, attrs, (rule) =>
      kernels.attentionGrad({
        ...{ ...rule, ...packed(qkv, attrs), out, logSumExp: logSumExp as Tensor, dOut: dy },
        ...{ dQuery, dKey, dValue, dBias },
      }),
    );
    return [() => dQkv, bias ? () => dBias as Tensor : null];
  },
  compose([qkv, bias], attrs) {
    const { heads, keyValueHeads } = attrs;
    const headDim = packedHeadDim(qkv, attrs);
    const [keysAt, valuesAt] = [heads * headDim, (heads + keyValueHeads) * headDim];
    const [query, key] = [qkv.slice(-1, 0, keysAt), qkv.slice(-1, keysAt, valuesAt)];
    return composed(query, key, qkv.slice(-1, valuesAt, qkv.axis(-1)), bias, attrs);
  },
});

/**
 * Multi-head attention of queries to keys and values of their own: cross-attention, or decoding from a cache.
 *
 * Shapes: query `[batch, queries, heads · headDim]`, key and value `[batch, keys, keyValueHeads · headDim]`, bias
 * `[heads, queries, keys]` → `[batch, queries, heads · headDim]`. Key and value may both be bfloat16, off the tape.
 *
 * @throws {ShapeError} when widths or batches do not fit.
 * @see {@link selfAttention}
 */
export const attention: Op<Separate, AttentionAttrs> = defineOp({
  name: "attention",
  weights: [1, 2],
  fused: ["attention", "attentionGrad"],
  infer([query, key, value, bias], { heads, keyValueHeads }) {
    const headDim = query.axis(-1) / heads;
    const fits =
      query.shape.length === 3 &&
      Number.isInteger(headDim) &&
      heads % keyValueHeads === 0 &&
      sameShape(key.shape, [query.axis(0), key.axis(-2), headDim * keyValueHeads]) &&
      sameShape(value.shape, key.shape);
    if (!fits) {
      throw new ShapeError(
        `attention: query ${formatShape(query.shape)} with ${heads} heads, key ${formatShape(key.shape)} and value ` +
          `${formatShape(value.shape)} with ${keyValueHeads} heads do not fit`,
      );
    }
    checkBias("attention", bias, [heads, query.axis(1), key.axis(1)]);
    return query.shape;
  },
  auxiliary: ([query], { heads }) => [[query.axis(0), heads, query.axis(1)]],
  run(kernels, [query, key, value, bias], out, attrs, [logSumExp = null]) {
    withRule(query, key, query.axis(-1) / attrs.heads, bias, attrs, (rule) => {
      const operands = { query: dense(query), key: dense(key), value: dense(value) };
      kernels.attention({ ...rule, ...operands, out, logSumExp });
    });
  },
  grad(dy, { inputs: [query, key, value, bias], output: out, auxiliary: [logSumExp], kernels }, attrs) {
    const [dQuery, dKey, dValue] = [query.blank(), key.blank(), value.blank()];
    const dBias = bias?.requiresGrad ? bias.blank() : null;
    withRule(query, key, query.axis(-1) / attrs.heads, bias, attrs, (rule) =>
      kernels.attentionGrad({
        ...{ ...rule, query: dense(query), key: dense(key), value: dense(value), out, logSumExp: logSumExp as Tensor },
        ...{ dOut: dy, dQuery: dense(dQuery), dKey: dense(dKey), dValue: dense(dValue), dBias },
      }),
    );
    return [() => dQuery, () => dKey, () => dValue, bias ? () => dBias as Tensor : null];
  },
  compose: ([query, key, value, bias], attrs) => composed(query, asNumbers(key), asNumbers(value), bias, attrs),
});

/** Keys or values that are stored as bfloat16, in float32. */
function asNumbers(x: Tensor): Tensor {
  return x.dtype === "float32" ? x : x.copy();
}

function checkBias(op: string, bias: Tensor | null, shape: Shape): void {
  if (bias && !sameShape(bias.shape, shape)) {
    throw new ShapeError(`${op}: bias ${formatShape(bias.shape)} must be ${formatShape(shape)}`);
  }
}

function checkSlopes(slopes: Tensor | null, heads: number): void {
  if (slopes && !sameShape(slopes.shape, [heads])) {
    throw new ShapeError(`attention: slopes ${formatShape(slopes.shape)} must be [${heads}], one for each head`);
  }
}

/** Width of a head in a packed projection. */
function packedHeadDim(qkv: Tensor, { heads, keyValueHeads }: AttentionAttrs): number {
  const headDim = qkv.axis(-1) / (heads + 2 * keyValueHeads);
  if (qkv.shape.length !== 3 || !Number.isInteger(headDim) || heads % keyValueHeads !== 0) {
    throw new ShapeError(
      `selfAttention: ${formatShape(qkv.shape)} is not [batch, time, width] for ${heads} query heads and ` +
        `${keyValueHeads} key-value heads`,
    );
  }
  return headDim;
}

function packed(qkv: Tensor, attrs: AttentionAttrs): { query: HeadRows; key: HeadRows; value: HeadRows } {
  const headDim = packedHeadDim(qkv, attrs);
  const { rowStride, batchStride } = dense(qkv);
  const at = (heads: number): HeadRows => ({ view: qkv, offset: heads * headDim, rowStride, batchStride });
  return { query: at(0), key: at(attrs.heads), value: at(attrs.heads + attrs.keyValueHeads) };
}

function dense(x: Tensor): HeadRows {
  const rowStride = x.axis(-1);
  return { view: x, offset: 0, rowStride, batchStride: rowStride * x.axis(1) };
}

function withRule(
  query: Tensor,
  key: Tensor,
  headDim: number,
  bias: Tensor | null,
  attrs: AttentionAttrs,
  body: (rule: AttentionRule) => void,
): void {
  const { heads, keyValueHeads, scale, cap = null, slopes = null, dropout: dropped } = attrs;
  const [batch, queries, keys] = [query.axis(0), query.axis(1), key.axis(1)];
  checkSlopes(slopes, heads);
  const { causal } = attrs.mask;
  const sizes = { batch, heads, keyValueHeads, queries, keys, headDim };
  withMaskView(attrs.mask, query, [batch, queries, keys], (mask) =>
    body({ ...sizes, scale, causal, mask, cap, bias, slopes, dropout: dropped }),
  );
}

/** Attention from ordinary ops, holding all weights `[batch, heads, queries, keys]`. */
function composed(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | null, attrs: AttentionAttrs): Tensor {
  const { heads, keyValueHeads, scale, cap = null, slopes = null, dropout: dropped } = attrs;
  const [batch, queries, keys] = [query.axis(0), query.axis(1), key.axis(1)];
  const headDim = query.axis(-1) / heads;
  // Query heads that share a key head become rows of one matrix.
  const split = (x: Tensor, count: number): Tensor =>
    x
      .reshape([batch, x.axis(1), count, headDim])
      .permute([0, 2, 1, 3])
      .reshape([batch, keyValueHeads, -1, headDim]);
  let scores = split(query, heads).matmul(split(key, keyValueHeads), { transposeB: true }).mul(scale);
  scores = scores.reshape([batch, heads, queries, keys]); // [batch, heads, queries, keys]
  if (cap !== null)
    scores = scores
      .mul(1 / cap)
      .map("tanh")
      .mul(cap);
  if (bias) scores = scores.add(bias);
  if (slopes) scores = scores.add(slopes.reshape([1, heads, 1, 1]).mul(distances(attrs.mask, query, keys)));
  const { penalty, sees } = denseMask(attrs.mask, query, keys);
  let weights = scores.add(penalty).softmax().mul(sees);
  if (dropped) weights = apply(dropout, [weights], dropped);
  const mixed = weights.reshape([batch, keyValueHeads, -1, keys]).matmul(split(value, keyValueHeads));
  return mixed
    .reshape([batch, heads, queries, headDim])
    .permute([0, 2, 1, 3])
    .reshape([batch, queries, heads * headDim]);
}

/** Position of each key less that of each query, `[batch, 1, queries, keys]`. */
function distances({ queryStarts }: AttentionMask, query: Tensor, keys: number): Tensor {
  const [batch, queries] = [query.axis(0), query.axis(1)];
  const tensor = query.blank([batch, 1, queries, keys]);
  tensor.write(
    Float32Array.from({ length: tensor.size }, (_, at) => {
      const row = Math.floor(at / keys);
      return (at % keys) - (queryStarts?.[Math.floor(row / queries)] ?? 0) - (row % queries);
    }),
  );
  return tensor;
}

/** The mask as numbers: −1e30 where hidden, and 0 or 1 for each query that sees nothing or something. */
function denseMask(mask: AttentionMask, query: Tensor, keys: number): { penalty: Tensor; sees: Tensor } {
  const [batch, queries] = [query.axis(0), query.axis(1)];
  const penalty = new Float32Array(batch * queries * keys);
  const sees = new Float32Array(batch * queries);
  for (let row = 0; row < sees.length; row++) {
    for (let key = 0; key < keys; key++) {
      if (isVisible(mask, Math.floor(row / queries), row % queries, key, queries)) sees[row] = 1;
      else penalty[row * keys + key] = -1e30;
    }
  }
  const upload = (values: Float32Array, width: number): Tensor => {
    const tensor = query.blank([batch, 1, queries, width]);
    tensor.write(values);
    return tensor;
  };
  return { penalty: upload(penalty, keys), sees: upload(sees, 1) };
}
