import type { Activation } from "../../backend/functions.ts";
import type { Kernels, Matmul } from "../../backend/kernels.ts";
import { ShapeError } from "../../core/errors.ts";
import type { Shape } from "../../core/shape.ts";
import { elementCount, formatShape, sameShape } from "../../core/shape.ts";
import type { Op } from "../op.ts";
import { defineOp, roundsRows } from "../op.ts";
import type { Tensor } from "../tensor.ts";

interface Transposes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/**
 * Matrix product over the last two axes: y = op(a) · op(b), where a transposed operand is stored the other way round.
 *
 * Shapes: op(a) `[…, m, k]`, op(b) `[…, k, n]` → `[…, m, n]`; the leading axes are equal, or absent in one operand,
 * which then serves every matrix of the other.
 * Gradient: dop(a) = dy · op(b)ᵀ, dop(b) = op(a)ᵀ · dy, summed over the matrices that shared an operand.
 *
 * @throws {ShapeError} when inner sizes or leading axes differ.
 */
export const matmul: Op<[a: Tensor, b: Tensor], Transposes> = defineOp({
  name: "matmul",
  weights: [1],
  infer: ([a, b], attrs) => plan(a, b, attrs).shape,
  run: (kernels, [a, b], out, attrs) => multiply(kernels, a, b, out, attrs),
  grad: (dy, { inputs: [a, b], kernels }, { transposeA, transposeB }) => [
    (sum) =>
      transposeA
        ? product(kernels, b, dy, a, { transposeA: transposeB, transposeB: true }, sum)
        : product(kernels, dy, b, a, { transposeA: false, transposeB: !transposeB }, sum),
    (sum) =>
      transposeB
        ? product(kernels, dy, a, b, { transposeA: true, transposeB: transposeA }, sum)
        : product(kernels, a, dy, b, { transposeA: !transposeA, transposeB: false }, sum),
  ],
});

interface LinearAttrs {
  readonly activation: Activation | null;
}

/**
 * Fully connected layer in one pass: y = f(x · Wᵀ + b), or x · Wᵀ + b + residual.
 *
 * Shapes: x `[…, in]`, weight `[out, in]`, bias `[out]`, residual and y `[…, out]`. Activation and residual exclude
 * each other.
 * Gradient: dz = dy ⊙ f′(z), dx = dz · W, dW = dzᵀ · x, db = Σ rows of dz, dresidual = dy.
 *
 * @throws {ShapeError} when the sizes do not fit.
 */
export const linear: Op<[x: Tensor, weight: Tensor, bias: Tensor | null, residual: Tensor | null], LinearAttrs> =
  defineOp({
    name: "linear",
    weights: [1],
    unread: { output: true },
    infer([x, weight, bias, residual], { activation }) {
      const [out = 0, width = 0] = weight.shape;
      const shape = [...x.shape.slice(0, -1), out];
      if (weight.shape.length !== 2 || x.shape.at(-1) !== width) {
        throw new ShapeError(`linear: x ${formatShape(x.shape)} does not fit weight ${formatShape(weight.shape)}`);
      }
      if (bias && !sameShape(bias.shape, [out])) {
        throw new ShapeError(
          `linear: bias ${formatShape(bias.shape)} does not fit weight ${formatShape(weight.shape)}`,
        );
      }
      if (residual && !sameShape(residual.shape, shape)) {
        throw new ShapeError(`linear: residual ${formatShape(residual.shape)} must be ${formatShape(shape)}`);
      }
      if (residual && activation) {
        throw new ShapeError(
          `linear: an activation and a residual exclude each other, got ${activation} and ${formatShape(residual.shape)}`,
        );
      }
      return shape;
    },
    auxiliary: ([x, weight], { activation }) => (activation ? [[...x.shape.slice(0, -1), weight.shape[0] ?? 0]] : []),
    run(kernels, [x, weight, bias, residual], out, { activation }, [preActivation = null]) {
      const [n = 0, k = 0] = weight.shape;
      kernels.matmul({
        ...{ a: x, b: weight, out, batch: 1, m: x.size / Math.max(k, 1), n, k },
        ...{ transposeA: false, transposeB: true, batchStrideA: 0, batchStrideB: 0 },
        ...{ bias, residual, activation, preActivation, roundsRows: roundsRows() },
      });
    },
    again: ({ activation }) =>
      activation && ((kernels, _, out, __, [preActivation]) => kernels.unary(activation, preActivation as Tensor, out)),
    grad(dy, { inputs: [x, weight], auxiliary: [preActivation], kernels }, { activation }) {
      // With an activation there is no residual, so nothing else reads dy: it becomes dz in place.
      if (activation && preActivation) kernels.unaryGrad(activation, preActivation, dy, dy);
      const dz = rows(dy);
      return [
        (sum) => product(kernels, dz, weight, x, { transposeA: false, transposeB: false }, sum),
        (sum) => product(kernels, dz, rows(x), weight, { transposeA: true, transposeB: false }, sum),
        () => dz.sum(0),
        () => dy,
      ];
    },
  });

type Adapted = [x: Tensor, weight: Tensor, bias: Tensor | null, residual: Tensor | null, low: Tensor, up: Tensor];

/**
 * {@link linear} whose weight has a change of low rank: y = f(x · Wᵀ + b + low · upᵀ), or that sum + residual. The change
 * is added where the sum is made, so that nothing of its size is held beside it.
 *
 * Shapes: as of `linear`; low `[…, rank]`, up `[out, rank]`.
 * Gradient: as of `linear`; dlow = dz · up, dup = dzᵀ · low.
 *
 * @throws {ShapeError} when the sizes do not fit.
 * @see Hu et al. (2022), "LoRA: Low-rank adaptation of large language models", equation 3, arXiv:2106.09685.
 */
export const adaptedLinear: Op<Adapted, LinearAttrs> = defineOp({
  name: "adaptedLinear",
  weights: [1],
  unread: { output: true },
  infer([x, weight, bias, residual, low, up], attrs) {
    const shape = linear.infer([x, weight, bias, residual], attrs);
    const rank = low.axis(-1);
    if (!sameShape(low.shape, x.shape.with(-1, rank)) || !sameShape(up.shape, [weight.axis(0), rank])) {
      throw new ShapeError(
        `adaptedLinear: low ${formatShape(low.shape)} and up ${formatShape(up.shape)} do not fit ` +
          `x ${formatShape(x.shape)} and weight ${formatShape(weight.shape)}`,
      );
    }
    return shape;
  },
  auxiliary: ([x, weight], { activation }) => (activation ? [[...x.shape.slice(0, -1), weight.axis(0)]] : []),
  run(kernels, [x, weight, bias, residual, low, up], out, { activation }, [preActivation]) {
    const sum = preActivation ?? out;
    linear.run(kernels, [x, weight, bias, residual], sum, { activation: null }, []);
    multiply(kernels, low, up, sum, { transposeA: false, transposeB: true }, true);
    if (activation) kernels.unary(activation, sum, out);
  },
  again: ({ activation }) =>
    activation && ((kernels, _, out, __, [preActivation]) => kernels.unary(activation, preActivation as Tensor, out)),
  grad(dy, { inputs: [x, weight, bias, residual, low, up], ...saved }, attrs) {
    // Makes dz of dy, in place where there is an activation.
    const pulls = linear.grad(dy, { ...saved, inputs: [x, weight, bias, residual] }, attrs);
    const dz = rows(dy);
    return [
      ...pulls,
      (sum) => product(saved.kernels, dz, up, low, { transposeA: false, transposeB: false }, sum),
      (sum) => product(saved.kernels, dz, rows(low), up, { transposeA: true, transposeB: false }, sum),
    ];
  },
});

/** x `[…, width]` → the same memory as `[rows, width]`, off the tape. */
function rows(x: Tensor): Tensor {
  return x.detach().reshape([-1, x.shape.at(-1) ?? 1]);
}

/** op(a) · op(b) as a gradient for `like`: added to `sum` in place, or new; summed over matrices that share `like`. */
function product(kernels: Kernels, a: Tensor, b: Tensor, like: Tensor, attrs: Transposes, sum: Tensor | null): Tensor {
  const { shape } = plan(a, b, attrs);
  if (elementCount(shape) === like.size) {
    const out = sum ?? like.blank();
    multiply(kernels, a, b, out, attrs, sum !== null);
    return out;
  }
  if (attrs.transposeA && !attrs.transposeB && a.shape.length === b.shape.length) {
    // Every matrix shared `like`: stacking their rows makes one product of the sum over matrices.
    return product(kernels, rows(a), rows(b), like, attrs, sum);
  }
  const each = a.blank(shape);
  multiply(kernels, a, b, each, attrs);
  return each.reshape([-1, like.size]).sum(0).reshape(like.shape);
}

function multiply(kernels: Kernels, a: Tensor, b: Tensor, out: Tensor, attrs: Transposes, accumulate = false): void {
  const { shape: _, ...sizes } = plan(a, b, attrs);
  kernels.matmul({ a, b, out, ...sizes, ...attrs, accumulate, roundsRows: roundsRows() });
}

interface Plan extends Pick<Matmul, "batch" | "m" | "n" | "k" | "batchStrideA" | "batchStrideB"> {
  /** Of the result. */
  readonly shape: Shape;
}

/** How the kernel is to see the operands. */
function plan(a: Tensor, b: Tensor, { transposeA, transposeB }: Transposes): Plan {
  const mark = (x: Tensor, transposed: boolean): string => formatShape(x.shape) + (transposed ? "ᵀ" : "");
  const failure = (why: string): ShapeError =>
    new ShapeError(`matmul: ${why}: a is ${mark(a, transposeA)}, b is ${mark(b, transposeB)}`);
  if (a.shape.length < 2 || b.shape.length < 2) throw failure("both operands need at least 2 axes");
  const [m, k] = matrix(a, transposeA);
  const [inner, n] = matrix(b, transposeB);
  if (k !== inner) throw failure(`inner sizes differ (${k} and ${inner})`);
  const [leadA, leadB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  if (leadA.length > 0 && leadB.length > 0 && !sameShape(leadA, leadB)) throw failure("leading axes differ");
  const lead = leadA.length > 0 ? leadA : leadB;
  const batch = elementCount(lead);
  const shape = [...lead, m, n];
  // One matrix on the right: the rows of all matrices on the left make one tall product.
  if (leadB.length === 0 && !transposeA)
    return { shape, batch: 1, m: batch * m, n, k, batchStrideA: 0, batchStrideB: 0 };
  return {
    ...{ shape, batch, m, n, k },
    batchStrideA: leadA.length > 0 ? m * k : 0,
    batchStrideB: leadB.length > 0 ? k * n : 0,
  };
}

/** Rows and columns of op(x). */
function matrix(x: Tensor, transposed: boolean): [rows: number, columns: number] {
  const [rows, columns] = [x.axis(-2), x.axis(-1)];
  return transposed ? [columns, rows] : [rows, columns];
}
