import { broadcastStrides, elementCount } from "../../core/shape.ts";
import type { Activation, BinaryKind, UnaryKind } from "../functions.ts";
import type { FusedKernels } from "../fused-kernels.ts";
import type { Kernels } from "../kernels.ts";
import type { View } from "../storage.ts";
import type { NativeFunctions } from "./addon.ts";
import { handleOf } from "./storage.ts";

/** Numbers of `enum class UnaryKind` in native/kernels/unary.h, by place. */
const unaryKinds: readonly UnaryKind[] = [
  ...(["abs", "cos", "exp", "gelu", "geluTanh", "log", "logSigmoid"] as const),
  ...(["quickGelu", "relu", "rsqrt", "sigmoid", "silu", "sin", "sqrt", "square", "tanh"] as const),
];

/** Numbers of `enum class BinaryKind` in native/kernels/elementwise.h, by place. */
const binaryKinds: readonly BinaryKind[] = [
  ...(["add", "sub", "mul", "div", "maximum", "minimum", "greater", "greaterEqual", "equal"] as const),
];

const unaryNumber = new Map<UnaryKind | Activation, number>(unaryKinds.map((kind, i) => [kind, i]));
const binaryNumber = new Map(binaryKinds.map((kind, i) => [kind, i]));

type Elementwise = Pick<
  Kernels,
  "fill" | "affine" | "accumulate" | "select" | "normal" | "dropout" | "binary" | "transfer" | "unary" | "unaryGrad"
>;

/** Kernels that compute each element by itself, and copies. */
export function elementwiseKernels(native: NativeFunctions): Elementwise {
  return {
    fill: (out, value) => native.fill(handleOf(out), out.offset, elementCount(out.shape), value),
    affine: (x, scale, shift, out) => native.affine(...pair(x, out), elementCount(out.shape), scale, shift),
    accumulate: (x, out) => native.accumulate(...pair(x, out), elementCount(out.shape)),
    select: (condition, a, b, out) => native.select(...pair(condition, a), ...pair(b, out), elementCount(out.shape)),
    normal: ({ key, stream }, out) =>
      native.normal(handleOf(out), out.offset, elementCount(out.shape), key[0], key[1], stream),
    dropout: (x, rate, { key, stream }, out) =>
      native.dropout(...pair(x, out), elementCount(out.shape), rate, key[0], key[1], stream),
    binary(kind, a, b, out) {
      const [stridesA, stridesB] = [broadcastStrides(a.shape, out.shape), broadcastStrides(b.shape, out.shape)];
      const axes = out.shape.flatMap((length, axis) => [length, stridesA[axis] ?? 0, stridesB[axis] ?? 0]);
      const views = [...pair(a, b), handleOf(out), out.offset];
      native.binary(binaryNumber.get(kind) ?? -1, ...views, out.shape.length, ...axes);
    },
    transfer(shape, from, to, accumulate) {
      const axes = shape.flatMap((length, axis) => [length, from.strides[axis] ?? 0, to.strides[axis] ?? 0]);
      const source = [handleOf(from.view), from.view.offset + from.offset];
      const target = [handleOf(to.view), to.view.offset + to.offset];
      native.transfer(...source, ...target, Number(accumulate), shape.length, ...axes);
    },
    unary: (kind, x, out) => native.unary(unaryNumber.get(kind) ?? -1, ...pair(x, out), elementCount(out.shape)),
    unaryGrad: (kind, x, dy, dx) =>
      native.unaryGrad(unaryNumber.get(kind) ?? -1, ...pair(x, dy), handleOf(dx), dx.offset, elementCount(dx.shape)),
  };
}

/** Gated linear units. */
export function gatedUnitKernels(native: NativeFunctions): Pick<FusedKernels, "gatedUnit" | "gatedUnitGrad"> {
  return {
    gatedUnit: (kind, x, out) => native.gatedUnit(unaryNumber.get(kind) ?? -1, ...pair(x, out), ...rowsOf(out)),
    gatedUnitGrad: (kind, x, dy, dx) =>
      native.gatedUnitGrad(unaryNumber.get(kind) ?? -1, ...pair(x, dy), handleOf(dx), dx.offset, ...rowsOf(dy)),
  };
}

/** Handle and offset of two views. */
export function pair(a: View, b: View): [number, number, number, number] {
  return [handleOf(a), a.offset, handleOf(b), b.offset];
}

/** How many rows a view has along its last axis, and how wide they are. */
export function rowsOf(view: View): [rows: number, width: number] {
  const width = view.shape.at(-1) ?? 1;
  return [elementCount(view.shape.slice(0, -1)), width];
}
