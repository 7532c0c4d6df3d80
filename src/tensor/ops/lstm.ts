import type { FusedKernels } from "../../backend/fused-kernels.ts";
import type { Kernels } from "../../backend/kernels.ts";
import type { View } from "../../backend/storage.ts";
import { ShapeError } from "../../core/errors.ts";
import { formatShape, sameShape } from "../../core/shape.ts";
import type { Op } from "../op.ts";
import { defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { concat } from "./movement.ts";

type LstmInputs = [sums: Tensor, weight: Tensor, hidden: Tensor, cells: Tensor];

/**
 * A layer of long short-term memory over a sequence, once one product has applied its input weights to all of it. With
 * gates i, f, g, o side by side and R the recurrent weight, for t = 1 … time:
 *
 * sₜ = sumsₜ + hₜ₋₁ Rᵀ; i, f, o = σ(s), g = tanh(s); cₜ = f ⊙ cₜ₋₁ + i ⊙ g; hₜ = o ⊙ tanh(cₜ).
 *
 * Shapes: sums `[time, batch, 4 · width]`, weight `[4 · width, width]`, hidden and cells before the first step
 * `[batch, width]` → `[2, time, batch, width]`: hₜ, then cₜ.
 * Gradient: back through all steps; that of the weight is one product over all of them at the end.
 *
 * @throws {ShapeError} when the shapes do not fit.
 * @see Hochreiter & Schmidhuber (1997), "Long short-term memory"; Gers et al. (2000) for the forget gate.
 */
export const lstm: Op<LstmInputs, undefined> = defineOp({
  name: "lstm",
  fused: ["lstmCell", "lstmCellGrad"],
  infer([sums, weight, hidden, cells]) {
    const [time = 0, batch = 0, gates = 0] = sums.shape;
    const width = gates / 4;
    const fits =
      sums.shape.length === 3 &&
      time > 0 &&
      sameShape(weight.shape, [gates, width]) &&
      [hidden, cells].every(({ shape }) => sameShape(shape, [batch, width]));
    if (fits) return [2, time, batch, width];
    throw new ShapeError(
      `lstm: sums ${formatShape(sums.shape)}, weight ${formatShape(weight.shape)}, hidden ${formatShape(hidden.shape)} ` +
        `and cells ${formatShape(cells.shape)} do not fit`,
    );
  },
  auxiliary: ([sums]) => [sums.shape],
  run(kernels, inputs, out, _, [gates]) {
    const [sums, weight] = inputs;
    const at = steps(inputs, out, gates as Tensor);
    for (let t = 0; t < sums.axis(0); t++) {
      const { before, after } = at(t);
      recurrent(kernels, before.hidden, weight, after.gates, step(sums, t));
      kernels.lstmCell({ gates: after.gates, before: before.cells, cells: after.cells, hidden: after.hidden });
    }
  },
  grad(dy, { inputs, output, auxiliary: [gates], kernels }) {
    // Everything comes out of one walk back through time, when the first gradient is wanted.
    let found: Gradients | null = null;
    const pull = (key: keyof Gradients) => (): Tensor => {
      found ??= walkBack(kernels, dy, inputs, output, gates as Tensor);
      return found[key];
    };
    return [pull("sums"), pull("weight"), pull("hidden"), pull("cells")];
  },
  compose([sums, weight, hidden, cells]) {
    const width = weight.axis(1);
    const [all, kept]: [Tensor[], Tensor[]] = [[], []];
    let [h, c] = [hidden, cells];
    for (let t = 0; t < sums.axis(0); t++) {
      const s = sums
        .slice(0, t, t + 1)
        .reshape([-1, 4 * width])
        .add(h.matmul(weight, { transposeB: true })); // [batch, 4 · width]
      const gate = (k: number): Tensor => s.slice(-1, k * width, (k + 1) * width);
      c = gate(1)
        .map("sigmoid")
        .mul(c)
        .add(gate(0).map("sigmoid").mul(gate(2).map("tanh")));
      h = gate(3).map("sigmoid").mul(c.map("tanh"));
      all.push(h);
      kept.push(c);
    }
    return concat([...all, ...kept], 0).reshape([2, sums.axis(0), ...hidden.shape]);
  },
});

interface Gradients {
  readonly sums: Tensor;
  readonly weight: Tensor;
  readonly hidden: Tensor;
  readonly cells: Tensor;
}

function walkBack(
  kernels: Kernels & FusedKernels,
  dy: Tensor,
  inputs: LstmInputs,
  output: Tensor,
  gates: Tensor,
): Gradients {
  const [sums, weight, hidden, cells] = inputs;
  const [time, batch, width] = [sums.axis(0), sums.axis(1), weight.axis(1)];
  const [dSums, dWeight, dHidden, dCells] = [
    sums.blank(),
    weight.blank(),
    hidden.blank(),
    cells.filled(cells.shape, 0),
  ];
  const at = steps(inputs, output, gates);
  const ofHidden = halves(dy)[0];
  const ofCells = halves(dy)[1];
  for (let t = time - 1; t >= 0; t--) {
    const { before, after } = at(t);
    kernels.accumulate(step(ofCells, t), dCells);
    const isLast = t === time - 1;
    if (!isLast) backThroughWeight(kernels, step(dSums, t + 1), weight, dHidden, step(ofHidden, t));
    kernels.lstmCellGrad({
      ...{ gates: after.gates, before: before.cells, cells: after.cells, dCells, dSums: step(dSums, t) },
      dHidden: isLast ? step(ofHidden, t) : dHidden,
    });
  }
  backThroughWeight(kernels, step(dSums, 0), weight, dHidden, null);
  // dR = Σₜ dsₜᵀ hₜ₋₁: the first step reads the state before it, all others lie one behind the other.
  outerSums(kernels, step(dSums, 0), hidden, dWeight, batch, false);
  if (time > 1) {
    const later = dSums.window(batch * 4 * width, [time - 1, batch, 4 * width]);
    outerSums(kernels, later, halves(output)[0], dWeight, (time - 1) * batch, true);
  }
  return { sums: dSums, weight: dWeight, hidden: dHidden, cells: dCells };
}

interface State {
  readonly hidden: View;
  readonly cells: View;
}

/** Where the state before a step, the one after it, and its gates lie. */
function steps(
  [, , hidden, cells]: LstmInputs,
  out: Tensor,
  gates: Tensor,
): (t: number) => { before: State; after: State & { gates: View } } {
  const [allHidden, allCells] = halves(out);
  const state = (t: number): State => ({ hidden: step(allHidden, t), cells: step(allCells, t) });
  return (t) => ({
    before: t === 0 ? { hidden, cells } : state(t - 1),
    after: { ...state(t), gates: step(gates, t) },
  });
}

/** `[2, …]` → two of `[…]`, sharing its memory. */
function halves(x: Tensor): [Tensor, Tensor] {
  const shape = x.shape.slice(1);
  return [x.window(0, shape), x.window(x.size / 2, shape)];
}

/** Element t of the first axis, sharing memory. */
function step(x: Tensor, t: number): Tensor {
  const shape = x.shape.slice(1);
  return x.window((t * x.size) / x.axis(0), shape);
}

const together = { batch: 1, batchStrideA: 0, batchStrideB: 0 } as const;

/** out = h Rᵀ + sums. */
function recurrent(kernels: Kernels, h: View, weight: Tensor, out: View, sums: View): void {
  const [n, k] = [weight.axis(0), weight.axis(1)];
  const sizes = { ...together, m: h.shape[0] ?? 0, n, k, transposeA: false, transposeB: true };
  kernels.matmul({ a: h, b: weight, out, ...sizes, residual: sums });
}

/** out = ds R, plus what reaches the hidden state directly. */
function backThroughWeight(kernels: Kernels, dSums: Tensor, weight: Tensor, out: Tensor, direct: Tensor | null): void {
  const [k, n] = [weight.axis(0), weight.axis(1)];
  const sizes = { ...together, m: dSums.axis(0), n, k, transposeA: false, transposeB: false };
  kernels.matmul({ a: dSums, b: weight, out, ...sizes, residual: direct });
}

/** out (+)= Σ over rows of dsᵀ h. */
function outerSums(kernels: Kernels, dSums: Tensor, h: Tensor, out: Tensor, rows: number, accumulate: boolean): void {
  const sizes = { ...together, m: out.axis(0), n: out.axis(1), k: rows, transposeA: true, transposeB: false };
  kernels.matmul({ a: dSums, b: h, out, ...sizes, accumulate });
}
