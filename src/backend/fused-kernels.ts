import type { Draw } from "../core/random.ts";
import type { Activation } from "./functions.ts";
import type { View } from "./storage.ts";

/** Where the heads of a query, key or value lie: (b, t, h, d) at `offset + b·batchStride + t·rowStride + h·headDim + d`. */
export interface HeadRows {
  readonly view: View;
  /** Elements from the view's own first element. */
  readonly offset: number;
  readonly rowStride: number;
  readonly batchStride: number;
}

/** Which keys a query may see, and how scores become weights. */
export interface AttentionRule {
  readonly batch: number;
  readonly heads: number;
  /** Divides `heads`; smaller for grouped queries: query head h reads key-value head ⌊h · keyValueHeads / heads⌋. */
  readonly keyValueHeads: number;
  readonly queries: number;
  readonly keys: number;
  readonly headDim: number;
  /** Scores are multiplied by it. */
  readonly scale: number;
  /** Query i sees key j only when j ≤ start + i, or j < prefix. */
  readonly causal: boolean;
  /**
   * int32 `[batch, 3]` or `[batch, 3 + queries]`. A row has the position of the sequence's first query (start), the keys
   * that every query sees (prefix, for prefix language models), and the keys that exist, the rest being padding; then,
   * where wider, the first key that each query sees, for packed documents and sliding windows. Null stands for 0, 0, all.
   */
  readonly mask: View | null;
  /** Scaled scores become cap · tanh(score / cap); null leaves them as they are. */
  readonly cap: number | null;
  /** `[heads, queries, keys]`, added to the scores; its gradient is `dBias`. */
  readonly bias: View | null;
  /** `[heads]`: slope · (j − start − i) is added to the score of query i and key j, so that a slope above 0 prefers near keys. */
  readonly slopes: View | null;
  /** Drops attention weights: word ((b·heads + h)·queries + i)·keys + j of the draw. */
  readonly dropout: { readonly rate: number; readonly draw: Draw } | null;
}

/** Operands of the attention kernel. A query that sees no key gets a row of zeros. */
export interface Attention extends AttentionRule {
  readonly query: HeadRows;
  /** Keys and values are float32, or both bfloat16. */
  readonly key: HeadRows;
  readonly value: HeadRows;
  /** `[batch, queries, heads, headDim]` */
  readonly out: View;
  /** `[batch, heads, queries]`: log Σⱼ exp(score), for the gradient; null in inference. */
  readonly logSumExp: View | null;
}

/** Operands of the attention gradient: overwrites dQuery, dKey, dValue, and dBias where there is a bias. */
export interface AttentionGrad extends AttentionRule {
  readonly query: HeadRows;
  readonly key: HeadRows;
  readonly value: HeadRows;
  readonly out: View;
  readonly logSumExp: View;
  readonly dOut: View;
  readonly dQuery: HeadRows;
  readonly dKey: HeadRows;
  readonly dValue: HeadRows;
  readonly dBias: View | null;
}

/**
 * Operands of attention of sequences whose queries lie back to back and whose keys and values are stretches of one table,
 * as in decoding. It is causal. A result depends on nothing but its query and the keys and values that this one sees: its
 * bits are the same in every call.
 */
export interface RaggedAttention
  extends Pick<AttentionRule, "heads" | "keyValueHeads" | "headDim" | "scale" | "cap" | "slopes"> {
  /** Queries of all sequences together. */
  readonly queries: number;
  /** Rows of the table. */
  readonly keys: number;
  /** Keys that a query sees, its own and those right before it; 0 is all before it. */
  readonly window: number;
  /**
   * int32 `[sequences, 6]`: position of a sequence's first query, the keys that every query of it sees (prefix), the keys
   * that exist; number of its first query, how many it has, and row of its first key.
   */
  readonly sequences: View;
  /** Of these, strides from sequence to sequence count for nothing. */
  readonly query: HeadRows;
  /** Keys and values are float32, or both bfloat16. */
  readonly key: HeadRows;
  readonly value: HeadRows;
  /** `[queries, heads, headDim]` */
  readonly out: View;
}

/** Operands of the rotary kernel. Pair i of a head is dimensions i and i + half, where half is the width of the tables. */
export interface Rotary {
  /** `[batch, time, width]`, width ≥ heads · 2 · half. */
  readonly x: View;
  /** int32 `[batch · time]`: row of the tables for each token; its place in time without. */
  readonly positions: View | null;
  /** `[positions, half]`: cosine of the angle of each pair at each position. */
  readonly cos: View;
  /** `[positions, half]` */
  readonly sin: View;
  /** Leading heads that turn; the rest of each row is copied. */
  readonly heads: number;
  /** Turns backwards: the gradient. */
  readonly inverse: boolean;
  /** Same shape as `x`; may be `x` itself. */
  readonly out: View;
}

/**
 * Operands of one step of a long short-term memory. The four gates of a row lie side by side, `[rows, 4 · width]`:
 * input, forget, candidate, output.
 */
export interface LstmCell {
  /** Their sums, replaced by their values: σ(input), σ(forget), tanh(candidate), σ(output). */
  readonly gates: View;
  /** `[rows, width]`: the cells before. */
  readonly before: View;
  /** `[rows, width]`: forget ⊙ before + input ⊙ candidate. */
  readonly cells: View;
  /** `[rows, width]`: output ⊙ tanh(cells). */
  readonly hidden: View;
}

/** Operands of its gradient. */
export interface LstmCellGrad {
  /** Values of the gates. */
  readonly gates: View;
  readonly before: View;
  readonly cells: View;
  readonly dHidden: View;
  /** What reaches the cells from later steps, replaced by the gradient of `before`. */
  readonly dCells: View;
  /** `[rows, 4 · width]`: gradient of the gates' sums. */
  readonly dSums: View;
}

/** Rows, sorted by group, each of which meets the matrix of its group. */
export interface GroupedLinear {
  /** `[rows, in]` */
  readonly x: View;
  /** `[groups, out, in]`, of float32 or a weight format. */
  readonly weight: View;
  /** int32 `[rows]`, ascending. */
  readonly groupOf: View;
  /** `[rows, out]` */
  readonly out: View;
  /** As of `Matmul`. */
  readonly roundsRows?: boolean;
}

/** Operands of its gradient: overwrites `dx` and `dWeight`, where they are wanted. */
export interface GroupedLinearGrad extends Omit<GroupedLinear, "out" | "roundsRows"> {
  readonly dy: View;
  readonly dx: View | null;
  readonly dWeight: View | null;
}

/** Kernels a backend may have for speed; without one, an op computes the same from others (its `compose`). */
export interface FusedKernels {
  /**
   * Rows of `[rows, width]`: y = (x − mean) · rstd · gain + bias, rstd = 1/√(var + ε); mean and rstd `[rows]` are kept. Gain
   * and bias are of one size: `[width]`, or `[samples, width]`, each row of which serves rows / samples consecutive rows.
   * Null stands for 1, and for 0.
   */
  layerNorm(x: View, gain: View | null, bias: View | null, epsilon: number, out: View, mean: View, rstd: View): void;
  /**
   * dx = gradient of the rows + `residual` where that is not null (it may be `dx` itself); dGain and dBias are
   * overwritten, and may be null when not wanted.
   */
  layerNormGrad(arguments_: LayerNormGrad): void;
  /** Rows: y = x · rstd · gain, rstd = 1/√(mean x² + ε); rstd `[rows]` is kept. */
  rmsNorm(x: View, gain: View, epsilon: number, out: View, rstd: View): void;
  rmsNormGrad(arguments_: NormGrad): void;
  groupNorm(norm: GroupNorm): void;
  groupNormGrad(gradient: GroupNormGrad): void;
  /** A two-dimensional convolution, with the activation that follows it. */
  conv2d(convolution: Conv2d): void;
  /** Its gradient of x: dy convolved with the filters turned round. */
  conv2dInputGrad(gradient: Conv2dInputGrad): void;
  /** Its gradient of the filters: what they saw of x, times dy. */
  conv2dWeightGrad(gradient: Conv2dWeightGrad): void;
  /** Tiled softmax(scale · q·kᵀ + bias, masked) · v; never holds `[queries, keys]` for the whole batch. */
  attention(attention: Attention): void;
  attentionGrad(gradient: AttentionGrad): void;
  /** {@link attention} of sequences of unequal length, for inference. */
  raggedAttention(attention: RaggedAttention): void;
  /**
   * Rows of logits `[rows, classes]` with int32 targets `[rows]`: losses[i] = logΣexp(logits[i]) − logits[i, target],
   * 0 for a negative target. With `dLogits` (it may be `logits` itself) also (softmax − onehot) · scale, 0 for a
   * negative target.
   */
  crossEntropy(logits: View, targets: View, losses: View, dLogits: View | null, scale: number): void;
  /** Turns the pair (a, b) of each head by its position's angle: (a cos − b sin, b cos + a sin). */
  rotary(rotation: Rotary): void;
  /** Rows of x `[rows, 2 · width]`, gate before value: out = f(gate) ⊙ value, `[rows, width]`. */
  gatedUnit(kind: Activation, x: View, out: View): void;
  /** dx = [dy ⊙ value ⊙ f′(gate), dy ⊙ f(gate)]; it may be `x` itself. */
  gatedUnitGrad(kind: Activation, x: View, dy: View, dx: View): void;
  /** One step of a long short-term memory, once the sums of its gates are known. */
  lstmCell(cell: LstmCell): void;
  lstmCellGrad(gradient: LstmCellGrad): void;
  /** out[i] = weight[groupOf[i]] · x[i]: one matrix product a group. */
  groupedLinear(product: GroupedLinear): void;
  groupedLinearGrad(gradient: GroupedLinearGrad): void;
}

/** Operands of layer norm's gradient. */
export interface LayerNormGrad extends Omit<NormGrad, "gain"> {
  readonly gain: View | null;
  readonly mean: View;
  readonly dBias: View | null;
}

/** What a group norm and its gradient are told. */
export interface GroupNormRule {
  /** `[batch, …, channels]`; a group is channels / groups neighbouring channels of a sample at all places. */
  readonly x: View;
  /** `[channels]` */
  readonly gain: View;
  /** `[channels]` */
  readonly bias: View;
  /** `[batch, groups]`: mean of each group; written forwards. */
  readonly mean: View;
  /** `[batch, groups]`: 1/√(variance + ε). */
  readonly rstd: View;
  readonly groups: number;
  /** Applied to the normalised values. */
  readonly activation: "silu" | null;
}

/** Operands of group norm: out = f((x − mean) · rstd · gain + bias). */
export interface GroupNorm extends GroupNormRule {
  readonly epsilon: number;
  readonly out: View;
}

/** Operands of its gradient: dx is overwritten with it + `residual` (which may be dx); dGain and dBias where wanted. */
export interface GroupNormGrad extends GroupNormRule {
  readonly dy: View;
  readonly residual: View | null;
  readonly dx: View;
  readonly dGain: View | null;
  readonly dBias: View | null;
}

/** Where a convolution looks: result (i, j) sees pixels from (i · stride − top, j · stride − left) on, 0 outside of the picture. */
export interface Conv2dPlaces {
  readonly stride: number;
  readonly top: number;
  readonly left: number;
}

/** Operands of a convolution: out[b, i, j, o] = f(Σ x[b, pixel, c] · weight[o, tap, c] + bias[o]). */
export interface Conv2d extends Conv2dPlaces {
  /** `[batch, height, width, channels]` */
  readonly x: View;
  /** `[out, tapRows, tapColumns, channels]` */
  readonly weight: View;
  /** `[out]` */
  readonly bias: View | null;
  /** `[batch, rows, columns, out]` */
  readonly out: View;
  readonly activation: Activation | null;
  /** The value before the activation, same size as `out`; null where it is not wanted. */
  readonly preActivation: View | null;
}

/** Operands of its gradient of x, which `dx` is overwritten with, or which is added to it. */
export interface Conv2dInputGrad extends Conv2dPlaces {
  readonly dy: View;
  readonly weight: View;
  readonly dx: View;
  readonly accumulate: boolean;
}

/** The same of the filters. */
export interface Conv2dWeightGrad extends Conv2dPlaces {
  readonly dy: View;
  readonly x: View;
  readonly dWeight: View;
  readonly accumulate: boolean;
}

/** Shared operands of the norms' gradients. */
export interface NormGrad {
  readonly x: View;
  readonly gain: View;
  readonly rstd: View;
  readonly dy: View;
  readonly residual: View | null;
  readonly dx: View;
  readonly dGain: View | null;
}
