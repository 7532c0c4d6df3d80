import type { FusedKernels } from "../backend/fused-kernels.ts";
import type { Kernels } from "../backend/kernels.ts";
import type { Dtype } from "../backend/storage.ts";
import { isWeightFormat } from "../backend/weight-formats.ts";
import { ShapeError, UnsupportedError } from "../core/errors.ts";
import type { Shape } from "../core/shape.ts";
import type { Tensor } from "./tensor.ts";

export type Inputs = readonly (Tensor | null)[];

/**
 * Computes the gradient of one input, when it is wanted. `sum` is what has reached that input so far, if anything:
 * a pull may add to it in place and return it, or ignore it and return a tensor of its own.
 */
export type Pull = (sum: Tensor | null) => Tensor;

/** One operation: what it makes, how it is computed, how gradients flow back. The whole truth about an op is one of these. */
export interface Op<In extends Inputs, Attrs> {
  readonly name: string;
  /** Which inputs hold int32; all others are float32. */
  readonly integers?: readonly number[] | "all";
  /** Which inputs may also be weights in a format of theirs: frozen, so that no gradient is asked for. */
  readonly weights?: readonly number[];
  /** Element type of the output; float32 without. */
  readonly dtype?: Dtype;
  /** Shape of the output. Throws {@link ShapeError} when the inputs do not fit. */
  readonly infer: (inputs: In, attrs: Attrs) => Shape;
  /** Shapes of what the kernels compute beside the output, for the gradient's use. */
  readonly auxiliary?: (inputs: In, attrs: Attrs) => readonly Shape[];
  /** Fills `out` and `auxiliary` by calling kernels. */
  readonly run: (
    kernels: Kernels & FusedKernels,
    inputs: In,
    out: Tensor,
    attrs: Attrs,
    auxiliary: readonly Tensor[],
  ) => void;
  /**
   * What fills `out` once more, where that costs less than keeping it: see {@link Tensor.forget}. It may use whatever the
   * tape holds anyway.
   */
  readonly again?: (attrs: Attrs) => Op<In, Attrs>["run"] | null;
  /** Values that `grad` does not look at; without, it may look at all. */
  readonly unread?: Unread;
  /** Vector-Jacobian product: one pull for each input, or `null` where no gradient flows. */
  readonly grad: (dy: Tensor, saved: Saved<In>, attrs: Attrs) => { readonly [K in keyof In]: Pull | null };
  /** The fused kernels that `run` and `grad` call; on a backend without them, `compose` is used. */
  readonly fused?: readonly (keyof FusedKernels)[];
  /** The same thing from other ops: fallback and test of a fused op. */
  readonly compose?: (inputs: In, attrs: Attrs) => Tensor;
}

/** What a gradient does without. */
export interface Unread {
  readonly inputs?: boolean;
  readonly output?: boolean;
}

/** What a gradient may look at. */
export interface Saved<In extends Inputs> {
  readonly inputs: In;
  readonly output: Tensor;
  readonly auxiliary: readonly Tensor[];
  readonly kernels: Kernels & FusedKernels;
}

/** How a tensor was made: one entry of the tape. */
export interface TapeNode {
  /** Grows with every recorded op, so descending order is a valid order for the backward pass. */
  readonly order: number;
  readonly inputs: Inputs;
  readonly auxiliary: readonly Tensor[];
  readonly pulls: (dy: Tensor) => readonly (Pull | null)[];
  /** Whether it has the memory of its input. */
  readonly isView: boolean;
  readonly unread: Unread;
  /** Computes the values once more, where that is cheap. */
  readonly again: ((out: Tensor) => void) | null;
  /** Computes the values and `auxiliary` once more; null where no op did. */
  readonly rerun: ((out: Tensor) => void) | null;
}

/** Gives an op literal its types, and nothing else. */
export function defineOp<In extends Inputs, Attrs = undefined>(op: Op<In, Attrs>): Op<In, Attrs> {
  return op;
}

/** What ops are run for: to be differentiated, beside what is, or for their results alone. */
type Purpose = "gradients" | "training" | "results";

let purpose: Purpose = "gradients";
let recorded = 0;

/**
 * Runs `body` without recording a tape: nothing made in it can be differentiated, and nothing is kept for gradients.
 * Products with weights in blocks may round what they multiply them with, as `Matmul.roundsRows` says.
 */
export function withoutGradients<Result>(body: () => Result): Result {
  return runFor("results", body);
}

/**
 * Runs `body` without recording a tape, but computes as with one: for what is compared with, or added to, what is
 * differentiated. A difference of two models must not be one of two ways of rounding.
 */
export function asInTraining<Result>(body: () => Result): Result {
  return runFor("training", body);
}

/** Runs `body` with the tape on, whatever surrounds it. */
export function withGradients<Result>(body: () => Result): Result {
  return runFor("gradients", body);
}

function runFor<Result>(wanted: Purpose, body: () => Result): Result {
  const before = purpose;
  purpose = wanted;
  try {
    return body();
  } finally {
    purpose = before;
  }
}

/** Whether ops are put on the tape at all. */
export function recordsTape(): boolean {
  return purpose === "gradients";
}

/** Whether products with weights in blocks round rows: where nothing is learned from them. */
export function roundsRows(): boolean {
  return purpose === "results";
}

/** Whether an op on these inputs will be differentiated. */
export function willRecord(inputs: Inputs): boolean {
  return recordsTape() && inputs.some((input) => input?.requiresGrad);
}

/** Runs one op and, so that `backward` can find its way back, links the result to its inputs. */
export function apply<In extends Inputs, Attrs>(op: Op<In, Attrs>, inputs: [...In], attrs: Attrs): Tensor {
  const source = inputs.find((input) => input !== null);
  if (!source) throw new Error(`internal: ${op.name} has no input`);
  const { backend } = source;
  const shape = op.infer(inputs, attrs);
  checkTypes(op, inputs);
  if (op.compose && op.fused?.some((kernel) => !(kernel in backend.fused))) return op.compose(inputs, attrs);
  const out = source.blank(shape, op.dtype ?? "float32");
  const auxiliary = op.auxiliary?.(inputs, attrs).map((extra) => source.blank(extra)) ?? [];
  const kernels = backend.all;
  op.run(kernels, inputs, out, attrs, auxiliary);
  // Integers have no gradient: an index is data to whatever uses it.
  if (op.dtype !== "int32" && willRecord(inputs)) {
    const again = op.again?.(attrs);
    record(out, inputs, (dy) => op.grad(dy, { inputs, output: out, auxiliary, kernels }, attrs), {
      auxiliary,
      unread: op.unread,
      again: again && ((values) => again(kernels, inputs, values, attrs, auxiliary)),
      rerun: (values) => op.run(kernels, inputs, values, attrs, auxiliary),
    });
  } else {
    for (const extra of auxiliary) extra.release();
  }
  return out;
}

/** Kernels read memory as what it should hold: the bits of an index would pass for a number. */
function checkTypes<In extends Inputs, Attrs>(op: Op<In, Attrs>, inputs: Inputs): void {
  const { name, integers = [] } = op;
  for (const [i, input] of inputs.entries()) {
    if (!input) continue;
    if (isWeightFormat(input.dtype)) checkWeights(op, input, i);
    else {
      const wanted = integers === "all" || integers.includes(i) ? "int32" : "float32";
      if (input.dtype === wanted) continue;
      throw new ShapeError(`${name}: input ${i + 1} holds ${input.dtype}, ${wanted} is needed`);
    }
  }
}

/** Weights in a format of theirs are for reading only, by ops that say so. */
function checkWeights<In extends Inputs, Attrs>(
  { name, weights = [] }: Op<In, Attrs>,
  { dtype, requiresGrad }: Tensor,
  i: number,
): void {
  if (!requiresGrad && weights.includes(i)) return;
  const why = requiresGrad ? "are frozen" : "it cannot read";
  throw new UnsupportedError(
    `${name}: input ${i + 1} holds weights as ${dtype}, which ${why}; load the model as float32 for this`,
  );
}

/** Entries of the tape so far: those made later have an `order` of at least this. */
export function tapeLength(): number {
  return recorded;
}

/** Puts a tensor on the tape. */
export function record(
  out: Tensor,
  inputs: Inputs,
  pulls: TapeNode["pulls"],
  more: { readonly [Key in "auxiliary" | "isView" | "unread" | "again" | "rerun"]?: TapeNode[Key] | undefined } = {},
): void {
  const { auxiliary = [], isView = false, unread = {}, again = null, rerun = null } = more;
  out.requiresGrad = true;
  out.node = { order: recorded++, inputs, auxiliary, pulls, isView, unread, again, rerun };
}
