import type { Draw } from "../core/random.ts";
import type { Shape } from "../core/shape.ts";
import type { Activation, BinaryKind, UnaryKind } from "./functions.ts";
import type { FusedKernels } from "./fused-kernels.ts";
import type { PassCapture } from "./passes.ts";
import type { Dtype, Storage, View } from "./storage.ts";
import type { ChosenToken, TokenChoice } from "./token-choice.ts";

/**
 * out = activation(op(a) · op(b) + bias + residual), or out += op(a) · op(b), for each of `batch` pairs of matrices.
 * op(a) is `[m, k]` and op(b) `[k, n]`; a transposed operand is stored the other way round.
 */
export interface Matmul {
  readonly a: View;
  /** May be in a weight format, its rows whole blocks: it counts as what it decodes to, but see `roundsRows`. */
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
  /**
   * Where `b` is in blocks and stored `[n, k]`: rows of op(a) are rounded block by block to integers times a scale, as ggml
   * rounds them, and integers are multiplied. Faster than what `b` decodes to, about half a percent off it, and what
   * llama.cpp computes. Each row of the result has the same bits whatever other rows there are.
   */
  readonly roundsRows?: boolean;
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

/** Running averages of parameters, and what they follow. Lists are parallel. */
export interface AverageStep {
  readonly averages: readonly View[];
  readonly parameters: readonly View[];
  /** Share of an average that stays. */
  readonly decay: number;
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
  /**
   * Standard normal numbers: out[2i] = r cos α, out[2i + 1] = r sin α, with r = √(−2 log((word 2i + 1) / 2³²)) and
   * α = 2π · word (2i + 1) / 2³² of `draw`: those of `Random.normal`, to rounding.
   */
  normal(draw: Draw, out: View): void;
  /** out[0] = √Σ ‖xⱼ‖² over all views, accumulated in float64. */
  globalNorm(views: readonly View[], out: View): void;
  /** Decoupled weight decay Adam, in place; Loshchilov & Hutter (2019), algorithm 2. */
  adamw(step: AdamWStep): void;
  /** averages ← decay · averages + (1 − decay) · parameters, in place. */
  average(step: AverageStep): void;
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
  /** Chooses a token from each row of logits `[rows, vocabularySize]`, after all kernels launched so far. */
  chooseTokens(logits: View, choices: readonly TokenChoice[]): Promise<ChosenToken[]>;
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
