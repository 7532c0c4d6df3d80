import type { Draw } from "../core/random.ts";
import type { Shape } from "../core/shape.ts";
import type { PassCapture } from "./passes.ts";
import type { WeightFormatName } from "./weight-formats.ts";

/**
 * Element types a kernel sees. Ids, targets and lengths are int32; everything computed is float32. The others hold frozen
 * weights as they lie in files. They may be `b` of a product, the table of `gatherRows`, the weight of a grouped product
 * and what `decode` reads; any other operand of theirs is an UnsupportedError. Of bfloat16 may also be the table of
 * `setRows`, and the keys and values of attention without its gradient.
 */
export type Dtype = "float32" | "int32" | WeightFormatName;

/** Memory owned by a backend. Opaque: only the backend that made it can look inside. */
export interface Storage {
  readonly dtype: Dtype;
  /** Number of elements. */
  readonly length: number;
}

/** Dense row-major numbers as a kernel sees them: a stretch of a storage with a shape. */
export interface View {
  readonly storage: Storage;
  /** First element, counted in elements from the start of the storage; a multiple of the block of a weight format. */
  readonly offset: number;
  readonly shape: Shape;
}

/** Functions of one number. `gelu` is exact (erf); `geluTanh` is its tanh approximation, as in GPT-1 and GPT-2. */
export type UnaryKind =
  | "abs"
  | "cos"
  | "exp"
  | "gelu"
  | "geluTanh"
  | "log"
  | "logSigmoid"
  | "relu"
  | "rsqrt"
  | "sigmoid"
  | "silu"
  | "sin"
  | "sqrt"
  | "square"
  | "tanh";

/** Functions of two numbers. Comparisons give 1 where they hold, else 0. */
export type BinaryKind = "add" | "sub" | "mul" | "div" | "maximum" | "minimum" | "greater" | "greaterEqual" | "equal";

/** Activations a matrix product can apply as it writes its result. */
export type Activation = "gelu" | "geluTanh" | "relu" | "silu" | "tanh";

/**
 * out = activation(op(a) · op(b) + bias + residual), or out += op(a) · op(b), for each of `batch` pairs of matrices.
 * op(a) is `[m, k]` and op(b) `[k, n]`; a transposed operand is stored the other way round.
 */
export interface Matmul {
  readonly a: View;
  /** May be in a weight format, its rows whole blocks: it counts as what it decodes to. */
  readonly b: View;
  readonly out: View;
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** `a` is stored `[k, m]`. */
  readonly transposeA: boolean;
  /** `b` is stored `[n, k]`. */
  readonly transposeB: boolean;
  /** Elements from one matrix of `a` to the next; 0 shares one matrix among all pairs. */
  readonly batchStrideA: number;
  readonly batchStrideB: number;
  /** Adds to what `out` holds instead of overwriting it. Excludes `bias`, `residual` and `activation`. */
  readonly accumulate?: boolean;
  /** `[n]`, added to every row. */
  readonly bias?: View | null;
  /** Same size as `out`, added to it; may be `out` itself. Excludes `activation`. */
  readonly residual?: View | null;
  /** Applied last; the value before it is written to `preActivation`, same size as `out`, unless that is null. */
  readonly activation?: Activation | null;
  readonly preActivation?: View | null;
}

/**
 * How a strided copy walks one side: element (i₀, i₁, …) lies at `offset + Σ iₐ · strides[a]`, counted from the view's
 * own first element.
 */
export interface Walk {
  readonly view: View;
  readonly offset: number;
  readonly strides: readonly number[];
}

/** Everything AdamW needs for one step over all parameters. Lists are parallel. */
export interface AdamWStep {
  readonly parameters: readonly View[];
  readonly gradients: readonly View[];
  readonly firstMoments: readonly View[];
  readonly secondMoments: readonly View[];
  /** Decay of each parameter, per step and before the learning rate; 0 for vectors. */
  readonly weightDecays: readonly number[];
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** 1-based: the number of this update, for bias correction. */
  readonly step: number;
  /** One element: every gradient is multiplied by it first (gradient clipping). */
  readonly gradientScale: View;
  /** `[parameters]`: the learning rate of each is multiplied by its own; null is 1 for all. */
  readonly rateScales: View | null;
}

/**
 * What every backend must compute. One method is one kernel. A kernel writes its output and allocates nothing that
 * outlives the call; unless said otherwise output and inputs do not overlap, except that element-wise kernels may
 * write over an input of the same shape. Add a method here and the compiler lists the backends that still lack it.
 */
export interface Kernels {
  /** out = value, everywhere. */
  fill(out: View, value: number): void;
  /** out = scale · x + shift. */
  affine(x: View, scale: number, shift: number, out: View): void;
  /** out += x. */
  accumulate(x: View, out: View): void;
  /** out = f(x). */
  unary(kind: UnaryKind, x: View, out: View): void;
  /** dx = dy · f′(x). */
  unaryGrad(kind: UnaryKind, x: View, dy: View, dx: View): void;
  /** out = f(a, b) with NumPy broadcasting to the shape of `out`. */
  binary(kind: BinaryKind, a: View, b: View, out: View): void;
  /** out = condition ≠ 0 ? a : b; all four have the same shape. */
  select(condition: View, a: View, b: View, out: View): void;
  /** out[o, i] = Σₐ x[o, a, i]; x is read as `[outer, axis, inner]` with the given sizes. */
  sum(x: View, outer: number, axis: number, inner: number, out: View): void;
  /** out[o, i] = maxₐ x[o, a, i]. */
  max(x: View, outer: number, axis: number, inner: number, out: View): void;
  /** out[row] = index of the largest element of a row (the first of equals); x `[..., n]` → out int32 `[...]`. */
  argmax(x: View, out: View): void;
  matmul(product: Matmul): void;
  /** Rows of the last axis: y = exp(x − logΣexp x). */
  softmax(x: View, out: View): void;
  /** dx = y ⊙ (dy − Σ dy ⊙ y). */
  softmaxGrad(y: View, dy: View, dx: View): void;
  /** Rows of the last axis: y = x − logΣexp x. */
  logSoftmax(x: View, out: View): void;
  /** dx = dy − exp(y) · Σ dy. */
  logSoftmaxGrad(y: View, dy: View, dx: View): void;
  /** out = what x stands for, whatever it is stored as. */
  decode(x: View, out: View): void;
  /**
   * out[i] = table[ids[i]], row by row; table `[rows, width]`, of float32 or a weight format, ids int32. A negative id
   * gives a row of zeros.
   */
  gatherRows(table: View, ids: View, out: View): void;
  /** table[ids[i]] += rows[i], in the order of i for every row (deterministic). Negative ids are skipped. */
  scatterAddRows(rows: View, ids: View, table: View): void;
  /** table[ids[i]] = rows[i], rounded where the table is of bfloat16. Ids are distinct; negative ids are skipped. */
  setRows(rows: View, ids: View, table: View): void;
  /** out[i] = x[i, ids[i]]; x `[rows, n]`. A negative id gives 0. */
  pick(x: View, ids: View, out: View): void;
  /** dx[i, ids[i]] += dy[i]. Negative ids are skipped. */
  pickGrad(dy: View, ids: View, dx: View): void;
  /**
   * Sends every row to one group by each of some `choices`, int32 `[rows]` with ids below `groups`, and sorts by group;
   * within one, by choice and then by row. For each place of that order `out`, int32 `[3, choices · rows]`, has the row,
   * its number choice · rows + row, and its group.
   */
  sortByGroup(choices: readonly View[], groups: number, out: View): void;
  /** to(i₀, i₁, …) = from(i₀, i₁, …) over `shape`, or += with `accumulate`: permute, slice, concatenate, pad. */
  transfer(shape: Shape, from: Walk, to: Walk, accumulate: boolean): void;
  /** out[i] = word[i] < rate · 2³² ? 0 : x[i] / (1 − rate), word i of `draw`. The gradient is the same kernel on dy. */
  dropout(x: View, rate: number, draw: Draw, out: View): void;
  /** out[0] = √Σ ‖xⱼ‖² over all views, accumulated in float64. */
  globalNorm(views: readonly View[], out: View): void;
  /** Decoupled weight decay Adam, in place; Loshchilov & Hutter (2019), algorithm 2. */
  adamw(step: AdamWStep): void;
}

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
}

/** Operands of its gradient: overwrites `dx` and `dWeight`, where they are wanted. */
export interface GroupedLinearGrad extends Omit<GroupedLinear, "out"> {
  readonly dy: View;
  readonly dx: View | null;
  readonly dWeight: View | null;
}

/** Kernels a backend may have for speed; without one, an op computes the same from others (its `compose`). */
export interface FusedKernels {
  /** Rows of `[rows, width]`: y = (x − mean) · rstd · gain + bias, rstd = 1/√(var + ε); mean and rstd `[rows]` are kept. */
  layerNorm(x: View, gain: View, bias: View, epsilon: number, out: View, mean: View, rstd: View): void;
  /**
   * dx = gradient of the rows + `residual` where that is not null (it may be `dx` itself); dGain and dBias are
   * overwritten, and may be null when not wanted.
   */
  layerNormGrad(arguments_: NormGrad & { readonly mean: View; readonly dBias: View | null }): void;
  /** Rows: y = x · rstd · gain, rstd = 1/√(mean x² + ε); rstd `[rows]` is kept. */
  rmsNorm(x: View, gain: View, epsilon: number, out: View, rstd: View): void;
  rmsNormGrad(arguments_: NormGrad): void;
  /** Tiled softmax(scale · q·kᵀ + bias, masked) · v; never holds `[queries, keys]` for the whole batch. */
  attention(attention: Attention): void;
  attentionGrad(gradient: AttentionGrad): void;
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

/** Precision of the operands of matrix products, those within attention included; sums are always float32. */
export type MatmulPrecision = "float32" | "bfloat16";

/** A place where tensors live and are computed. */
export interface Backend {
  readonly name: string;
  /** Threads that compute; absent is one. */
  readonly threads?: number;
  /** Of the processor, as far as the backend chooses among several. */
  readonly instructionSet?: string;
  readonly kernels: Kernels;
  readonly fused: Partial<FusedKernels>;
  /** Both in one object. Calling a fused kernel that `fused` lacks is a defect of the caller. */
  readonly all: Kernels & FusedKernels;
  /** Memory for `length` elements, not cleared. */
  allocate(dtype: Dtype, length: number): Storage;
  /** Gives memory back. Using the storage again is an error; releasing it again does nothing. */
  release(storage: Storage): void;
  /** A function that gives the memory back without holding on to the storage object, for use when that is collected. */
  finalizer(storage: Storage): () => void;
  /** Copies `values` into a storage from element `offset` on; a storage of a weight format takes its blocks as bytes. */
  write(storage: Storage, offset: number, values: Float32Array | Int32Array | Uint8Array): void;
  /** Absent where a pass costs nothing beside its kernels. */
  readonly passes?: PassCapture;
  /** Bytes that may still be allocated without the system running out of them; absent where nobody knows. */
  readonly memoryLeft?: () => number;
  /**
   * Arithmetic operations a second that matrix products could reach at best, measured on the spot (a tenth of a second);
   * absent where nobody knows.
   */
  readonly peak?: () => number;
  /** Copies `length` elements out, after all kernels launched so far; those of a weight format decoded. */
  read(storage: Storage, offset: number, length: number): Promise<Float32Array | Float64Array | Int32Array>;
}

/** What a caller may choose when opening a backend. */
export interface BackendOptions {
  /** Threads that compute; default: one for each core, or fewer where a container is granted less. */
  readonly threads?: number | undefined;
  readonly matmulPrecision?: MatmulPrecision | undefined;
}
