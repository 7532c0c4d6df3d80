import type { UnaryKind } from "../../backend/functions.ts";
import { Random } from "../../core/random.ts";
import type { Shape } from "../../core/shape.ts";
import { elementCount } from "../../core/shape.ts";
import { adaptiveNorm } from "../../nn/norm.ts";
import { apply } from "../../tensor/op.ts";
import type { AttentionAttrs } from "../../tensor/ops/attention.ts";
import { attention, selfAttention } from "../../tensor/ops/attention.ts";
import { conv2d } from "../../tensor/ops/conv2d.ts";
import { biasedCrossEntropy, linearCrossEntropy } from "../../tensor/ops/cross-entropy.ts";
import { dropout } from "../../tensor/ops/dropout.ts";
import { select } from "../../tensor/ops/elementwise.ts";
import { gatedUnit } from "../../tensor/ops/gated-unit.ts";
import { groupNorm } from "../../tensor/ops/group-norm.ts";
import { groupedLinear, sortByGroup } from "../../tensor/ops/groups.ts";
import { lstm } from "../../tensor/ops/lstm.ts";
import { adaptedLinear, linear } from "../../tensor/ops/matmul.ts";
import { concat } from "../../tensor/ops/movement.ts";
import { layerNorm, rmsNorm } from "../../tensor/ops/norm.ts";
import { rotary } from "../../tensor/ops/rotary.ts";
import { Tensor } from "../../tensor/tensor.ts";

/** A use of one or a few ops, on inputs drawn from a normal distribution. */
export interface OpCase {
  readonly name: string;
  readonly shapes: readonly Shape[];
  /** Gives the same values each time. */
  readonly body: (inputs: readonly Tensor[]) => Tensor;
}

/** Sizes of the inputs; `width` is a multiple of 4. */
export interface CaseSizes {
  readonly rows: number;
  readonly width: number;
}

/** The inputs of a case, the same numbers on every backend. */
export function inputsOf({ shapes }: OpCase, place: Tensor["backend"]): Tensor[] {
  return shapes.map((shape, i) => Tensor.from(place, new Random(i + 1).normal(elementCount(shape)), shape));
}

/** Every op at least once. */
export function opCases(sizes: CaseSizes): OpCase[] {
  return [...elementwiseCases(sizes), ...matmulCases(sizes), ...rowCases(sizes), ...modelCases(sizes)];
}

const everywhere: readonly UnaryKind[] = [
  ...(["abs", "cos", "exp", "gelu", "geluTanh", "logSigmoid"] as const),
  ...(["quickGelu", "relu", "sigmoid", "silu", "sin", "square", "tanh"] as const),
];
const positive: readonly UnaryKind[] = ["log", "rsqrt", "sqrt"];

function elementwiseCases({ rows, width }: CaseSizes): OpCase[] {
  const matrix: Shape = [rows, width];
  const row: Shape = [1, width];
  return [
    ...everywhere.map((kind) => opCase(kind, [matrix], ([x]) => x.map(kind))),
    ...positive.map((kind) => opCase(kind, [matrix], ([x]) => x.mul(x).add(0.5).map(kind))),
    opCase("arithmetic with broadcasting", [matrix, row], ([a, b]) => a.sub(b).mul(b).add(3).div(b.exp())),
    opCase("maximum and minimum", [matrix, row], ([a, b]) => a.maximum(b).minimum(a.mul(2).add(0.5))),
    opCase("select", [matrix, matrix], ([a, b]) => apply(select, [maskOf(a), a, b], undefined)),
    opCase("normal numbers", [matrix], ([x]) => x.add(Tensor.normal(x.backend, matrix, new Random(8).draw()))),
    opCase("dropout", [matrix], ([x]) => apply(dropout, [x], { rate: 0.3, draw: new Random(7).draw() })),
  ];
}

/** Matrix products alone, which also come in another precision. */
export function matmulCases({ rows, width }: CaseSizes): OpCase[] {
  const tall: Shape = [rows, width];
  const wide: Shape = [width, rows + 1];
  const some: Shape = [2, ...tall];
  const others: Shape = [2, rows + 1, width];
  return [
    opCase("matrix product", [tall, wide], ([a, b]) => a.matmul(b)),
    opCase("matrix product, first transposed", [wide, wide], ([a, b]) => a.matmul(b, { transposeA: true })),
    opCase("matrix product, second transposed", [some, others], ([a, b]) => a.matmul(b, { transposeB: true })),
  ];
}

function rowCases({ rows, width }: CaseSizes): OpCase[] {
  const matrix: Shape = [rows, width];
  return [
    opCase("sums", [matrix], ([x]) => x.sum(0, true).add(x.mean(1, true))),
    opCase("largest of a row and of a column", [matrix], ([x]) => x.max(0, true).add(x.max(1, true))),
    opCase("softmax", [matrix], ([x]) => x.softmax()),
    opCase("log-softmax", [matrix], ([x]) => x.logSoftmax()),
    opCase("layer norm", [matrix, [width], [width]], ([x, g, b]) => apply(layerNorm, [x, g, b], { epsilon: 1e-5 })),
    opCase(
      "adaptive norm",
      [
        [2, rows, width],
        [2, width],
        [2, width],
      ],
      ([x, scale, shift]) => adaptiveNorm(x, scale, shift, 1e-6),
    ),
    opCase("group norm with SiLU", [[2, rows, width], [width], [width]], ([x, gain, bias]) =>
      apply(groupNorm, [x, gain, bias], { groups: 2, epsilon: 1e-5, activation: "silu" }),
    ),
    opCase("RMS norm", [matrix, [width]], ([x, gain]) => apply(rmsNorm, [x, gain], { epsilon: 1e-5 })),
    opCase("rows of a table", [matrix], ([x]) => x.gatherRows(idsUpTo(rows, x, 2 * rows))),
    opCase("one of each row", [matrix], ([x]) => x.pick(idsUpTo(width, x, rows))),
    opCase("permute, slice, concatenate", [[rows, 2, width]], ([x]) =>
      concat([x.slice(2, 1, width), x.slice(2, 0, 2)], 2).permute([2, 0, 1]),
    ),
  ];
}

function modelCases({ rows, width }: CaseSizes): OpCase[] {
  const matrix: Shape = [rows, width];
  const rule: AttentionAttrs = { heads: 2, keyValueHeads: 2, scale: 0.5, mask: { causal: true }, dropout: null };
  const classes: Shape = [rows + 2, width];
  const state: Shape = [2, width / 4];
  const narrow: Shape = [2, rows, width / 2];
  const padding = { causal: false, keyLengths: Int32Array.of(rows - 1, rows) };
  return [
    opCase("linear layer with GELU", [matrix, classes, [rows + 2]], ([x, weight, bias]) =>
      apply(linear, [x, weight, bias, null], { activation: "geluTanh" }),
    ),
    opCase("linear layer with residual", [matrix, classes, [rows + 2], [rows, rows + 2]], ([x, weight, bias, more]) =>
      apply(linear, [x, weight, bias, more], { activation: null }),
    ),
    opCase("linear layer with an adapter", [matrix, classes, [rows, 4], [rows + 2, 4]], ([x, weight, low, up]) =>
      apply(adaptedLinear, [x, weight, null, null, low, up], { activation: "geluTanh" }),
    ),
    opCase("convolution with SiLU", [[2, rows, 5, width], [rows, 3, 3, width], [rows]], ([x, weight, bias]) =>
      apply(conv2d, [x, weight, bias], {
        stride: 2,
        padding: { top: 1, left: 0, bottom: 1, right: 2 },
        activation: "silu",
      }),
    ),
    opCase("causal attention", [[2, rows, 3 * width]], ([qkv]) => apply(selfAttention, [qkv, null], rule)),
    opCase("attention, grouped, with padding", [[2, ...matrix], narrow, narrow], (all) =>
      apply(attention, [...all, null], { ...rule, keyValueHeads: 1, mask: padding }),
    ),
    opCase("cross-entropy", [matrix, classes], ([hidden, weight]) =>
      apply(linearCrossEntropy, [hidden, weight], { targets: idsUpTo(rows, hidden, rows), scale: 1 / rows }),
    ),
    opCase("cross-entropy with bias", [matrix, classes, [rows + 2]], ([hidden, weight, bias]) =>
      apply(biasedCrossEntropy, [hidden, weight, bias], { targets: idsUpTo(rows, hidden, rows), scale: 1 / rows }),
    ),
    opCase("rotary positions", [[1, rows, width]], ([x]) =>
      apply(rotary, [x], { ...anglesFor(x, width / 4), positions: null, heads: 2 }),
    ),
    // Smaller weights: with these many steps and large ones, rounding grows until nothing can be compared.
    opCase("LSTM", [[rows, 2, width], [width, width / 4], state, state], ([sums, weight, hidden, cells]) =>
      apply(lstm, [sums, weight.mul(0.2), hidden, cells], undefined),
    ),
    opCase("linear maps of groups", [matrix, [3, 5, width]], ([x, weight]) => {
      const choice = Int32Array.from({ length: rows }, (_, i) => (2 * i) % 3);
      const { rows: order, groupOf } = sortByGroup([Tensor.from(x.backend, choice, [rows])], 3);
      return apply(groupedLinear, [x.gatherRows(order), weight, groupOf], undefined);
    }),
    opCase("gated unit", [[rows, 2 * width]], ([x]) => apply(gatedUnit, [x], { activation: "silu" })),
  ];
}

/** As many tensors as there are shapes. */
type InputsOf<Shapes extends readonly Shape[]> = { [Key in keyof Shapes]: Tensor };

function opCase<const Shapes extends readonly Shape[]>(
  name: string,
  shapes: Shapes,
  body: (inputs: InputsOf<Shapes>) => Tensor,
): OpCase {
  return { name, shapes, body: (inputs) => body(inputs as InputsOf<Shapes>) };
}

/** 1 where an element is positive, else 0. */
function maskOf(x: Tensor): Tensor {
  const mask = x.blank();
  x.backend.kernels.binary("greater", x, x.filled([1], 0), mask);
  return mask;
}

/** Ids 0, 3, 6, … below `end`, with one negative id among them. */
function idsUpTo(end: number, { backend }: Tensor, count: number): Tensor {
  return Tensor.from(
    backend,
    Int32Array.from({ length: count }, (_, i) => (i === 1 ? -1 : (3 * i) % end)),
    [count],
  );
}

/** Tables of some angles for the rows of x. */
function anglesFor({ backend, shape }: Tensor, half: number): { readonly cos: Tensor; readonly sin: Tensor } {
  const table: Shape = [shape[1] ?? 1, half];
  const angles = new Random(9).normal(elementCount(table));
  return {
    cos: Tensor.from(backend, angles.map(Math.cos), table),
    sin: Tensor.from(backend, angles.map(Math.sin), table),
  };
}
