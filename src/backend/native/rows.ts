import { elementCount } from "../../core/shape.ts";
import type { FusedKernels, GroupNormRule } from "../fused-kernels.ts";
import type { Kernels } from "../kernels.ts";
import type { View } from "../storage.ts";
import type { NativeFunctions } from "./addon.ts";
import { pair, rowsOf } from "./elementwise.ts";
import { handleOf, handleOrNone, offsetOrZero, roundedHandleOf, weightHandleOf } from "./storage.ts";

type RowKernels = Pick<
  Kernels,
  | ("sum" | "max" | "argmax" | "softmax" | "softmaxGrad" | "logSoftmax" | "logSoftmaxGrad")
  | ("decode" | "gatherRows" | "scatterAddRows" | "setRows" | "pick" | "pickGrad" | "globalNorm" | "adamw" | "average")
>;

type FusedRowKernels = Pick<
  FusedKernels,
  | ("layerNorm" | "layerNormGrad" | "rmsNorm" | "rmsNormGrad" | "groupNorm" | "groupNormGrad")
  | ("crossEntropy" | "rotary")
>;

/** Kernels over rows, tables and lists of tensors. */
export function rowKernels(native: NativeFunctions): RowKernels {
  return {
    sum: (x, outer, axis, inner, out) => native.sum(...pair(x, out), outer, axis, inner),
    max: (x, outer, axis, inner, out) => native.max(...pair(x, out), outer, axis, inner),
    argmax: (x, out) => native.argmax(...pair(x, out), ...rowsOf(x)),
    softmax: (x, out) => native.softmax(...pair(x, out), ...rowsOf(x)),
    softmaxGrad: (y, dy, dx) => native.softmaxGrad(...pair(y, dy), ...one(dx), ...rowsOf(y)),
    logSoftmax: (x, out) => native.logSoftmax(...pair(x, out), ...rowsOf(x)),
    logSoftmaxGrad: (y, dy, dx) => native.logSoftmaxGrad(...pair(y, dy), ...one(dx), ...rowsOf(y)),
    decode: (x, out) => native.decode(weightHandleOf(x), x.offset, ...one(out), elementCount(out.shape)),
    gatherRows: (table, ids, out) =>
      native.gatherRows(weightHandleOf(table), table.offset, ...pair(ids, out), ...tableRows(table, ids)),
    scatterAddRows: (rows, ids, table) =>
      native.scatterAddRows(...pair(rows, ids), ...one(table), ...tableRows(table, ids)),
    setRows: (rows, ids, table) =>
      native.setRows(...pair(rows, ids), roundedHandleOf(table), table.offset, ...tableRows(table, ids)),
    pick: (x, ids, out) => native.pick(...pair(x, ids), ...one(out), ...rowsOf(x)),
    pickGrad: (dy, ids, dx) => native.pickGrad(...pair(dy, ids), ...one(dx), ...rowsOf(dx)),
    globalNorm(views, out) {
      const table = views.flatMap((view) => [...one(view), elementCount(view.shape)]);
      native.globalNorm(Float64Array.from(table), ...one(out));
    },
    adamw(step) {
      const table = step.parameters.flatMap((parameter, i) => [
        ...pair(parameter, step.gradients[i] as View),
        ...pair(step.firstMoments[i] as View, step.secondMoments[i] as View),
        ...[elementCount(parameter.shape), step.weightDecays[i] ?? 0],
      ]);
      const { learningRate, beta1, beta2, epsilon } = step;
      const constants = [learningRate, beta1, beta2, epsilon, step.step];
      native.adamw(Float64Array.from(table), ...constants, ...one(step.gradientScale), ...optional(step.rateScales));
    },
    average({ averages, parameters, decay }) {
      const table = averages.flatMap((view, i) => [...pair(view, parameters[i] as View), elementCount(view.shape)]);
      native.average(Float64Array.from(table), decay);
    },
  };
}

/** Norms, the classifier's loss, and rotary positions. */
export function fusedRowKernels(native: NativeFunctions): FusedRowKernels {
  return {
    layerNorm: (x, gain, bias, epsilon, out, mean, rstd) =>
      native.layerNorm(
        ...[...one(x), ...optional(gain), ...optional(bias), ...one(out), ...pair(mean, rstd)],
        ...[...rowsOf(x), samplesOf(gain ?? bias), epsilon],
      ),
    layerNormGrad: ({ x, gain, mean, rstd, dy, residual, dx, dGain, dBias }) =>
      native.normGrad(
        ...[...one(x), ...optional(gain), ...pair(mean, rstd), ...one(dy), ...optional(residual)],
        ...[...one(dx), ...optional(dGain), ...optional(dBias), ...rowsOf(x), samplesOf(gain ?? dGain ?? dBias)],
      ),
    rmsNorm: (x, gain, epsilon, out, rstd) =>
      native.rmsNorm(...pair(x, gain), ...pair(out, rstd), ...rowsOf(x), epsilon),
    rmsNormGrad: ({ x, gain, rstd, dy, residual, dx, dGain }) =>
      native.normGrad(
        ...[...pair(x, gain), ...optional(null), ...pair(rstd, dy), ...optional(residual)],
        ...[...one(dx), ...optional(dGain), ...optional(null), ...rowsOf(x), samplesOf(gain)],
      ),
    groupNorm: ({ x, gain, bias, mean, rstd, out, epsilon, ...rule }) =>
      native.groupNorm(...pair(x, gain), ...pair(bias, out), ...pair(mean, rstd), ...groupsOf(x, rule), epsilon),
    groupNormGrad: ({ x, gain, bias, mean, rstd, dy, residual, dx, dGain, dBias, ...rule }) =>
      native.groupNormGrad(
        ...[...pair(x, gain), ...one(bias), ...pair(mean, rstd), ...one(dy), ...optional(residual)],
        ...[...one(dx), ...optional(dGain), ...optional(dBias), ...groupsOf(x, rule)],
      ),
    crossEntropy: (logits, targets, losses, dLogits, scale) =>
      native.crossEntropy(...pair(logits, targets), ...one(losses), ...optional(dLogits), ...rowsOf(logits), scale),
    rotary({ x, positions, cos, sin, heads, inverse, out }) {
      const [rows, width] = rowsOf(x);
      const [places = 0, half = 0] = cos.shape;
      const sizes = [rows, x.shape[1] ?? 1, width, heads, half, places, Number(inverse)];
      native.rotary(...one(x), ...optional(positions), ...pair(cos, sin), ...one(out), ...sizes);
    },
  };
}

/** Rows that gain and bias have: one for all rows of x, or one for each sample. */
function samplesOf(factors: View | null): number {
  return factors && factors.shape.length > 1 ? (factors.shape[0] ?? 0) : 1;
}

/** Batch, places, channels and groups, and whether SiLU follows. */
function groupsOf({ shape }: View, { groups, activation }: Pick<GroupNormRule, "groups" | "activation">): number[] {
  const places = elementCount(shape.slice(1, -1));
  return [shape[0] ?? 1, places, shape.at(-1) ?? 1, groups, Number(activation === "silu")];
}

function one(view: View): [handle: number, offset: number] {
  return [handleOf(view), view.offset];
}

function optional(view: View | null): [handle: number, offset: number] {
  return [handleOrNone(view), offsetOrZero(view)];
}

/** Rows of a table, rows that move, and their width. */
function tableRows(table: View, ids: View): [number, number, number] {
  const [rows = 0, width = 0] = table.shape;
  return [rows, elementCount(ids.shape), width];
}
