import { broadcastStrides, sameShape } from "../../core/shape.ts";
import type { BinaryKind, UnaryKind } from "../functions.ts";
import type { Kernels } from "../kernels.ts";
import type { View } from "../storage.ts";
import type { Floats } from "./storage.ts";
import { floats } from "./storage.ts";
import { unaryFunctions } from "./unary.ts";

const binaryFunctions: Record<BinaryKind, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  maximum: Math.max,
  minimum: Math.min,
  greater: (a, b) => (a > b ? 1 : 0),
  greaterEqual: (a, b) => (a >= b ? 1 : 0),
  equal: (a, b) => (a === b ? 1 : 0),
};

/** Kernels that compute each element of the output from the elements at the same place. */
export const elementwise = {
  fill: (out, value) => void floats(out).fill(value),
  affine(x: View, scale: number, shift: number, out: View): void {
    const [from, to] = [floats(x), floats(out)];
    for (let i = 0; i < to.length; i++) to[i] = scale * from[i]! + shift;
  },
  accumulate(x: View, out: View): void {
    const [from, to] = [floats(x), floats(out)];
    for (let i = 0; i < to.length; i++) to[i]! += from[i]!;
  },
  unary(kind: UnaryKind, x: View, out: View): void {
    const { value } = unaryFunctions[kind];
    const [from, to] = [floats(x), floats(out)];
    for (let i = 0; i < to.length; i++) to[i] = value(from[i]!);
  },
  unaryGrad(kind: UnaryKind, x: View, dy: View, dx: View): void {
    const { slope } = unaryFunctions[kind];
    const [at, from, to] = [floats(x), floats(dy), floats(dx)];
    for (let i = 0; i < to.length; i++) to[i] = from[i]! * slope(at[i]!);
  },
  binary(kind: BinaryKind, a: View, b: View, out: View): void {
    const f = binaryFunctions[kind];
    const [left, right, to] = [floats(a), floats(b), floats(out)];
    if (sameShape(a.shape, out.shape) && sameShape(b.shape, out.shape)) {
      for (let i = 0; i < to.length; i++) to[i] = f(left[i]!, right[i]!);
    } else {
      const strides = [broadcastStrides(a.shape, out.shape), broadcastStrides(b.shape, out.shape)] as const;
      broadcast(f, { values: left, strides: strides[0] }, { values: right, strides: strides[1] }, to, out.shape);
    }
  },
  select(condition: View, a: View, b: View, out: View): void {
    const [chooses, yes, no, to] = [floats(condition), floats(a), floats(b), floats(out)];
    for (let i = 0; i < to.length; i++) to[i] = chooses[i] !== 0 ? yes[i]! : no[i]!;
  },
} satisfies Partial<Kernels>;

interface Strided {
  readonly values: Floats;
  readonly strides: readonly number[];
}

/** Walks the output in order, counting its indices like an odometer and moving both operands along. */
function broadcast(
  f: (a: number, b: number) => number,
  a: Strided,
  b: Strided,
  out: Floats,
  shape: readonly number[],
): void {
  const index = new Array<number>(shape.length).fill(0);
  let [atA, atB] = [0, 0];
  for (let i = 0; i < out.length; i++) {
    out[i] = f(a.values[atA]!, b.values[atB]!);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      atA += a.strides[axis]!;
      atB += b.strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      atA -= shape[axis]! * a.strides[axis]!;
      atB -= shape[axis]! * b.strides[axis]!;
      index[axis] = 0;
    }
  }
}
