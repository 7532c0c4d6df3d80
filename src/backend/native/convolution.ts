import type { Conv2dPlaces, FusedKernels } from "../fused-kernels.ts";
import type { MatmulPrecision } from "../kernels.ts";
import type { View } from "../storage.ts";
import type { NativeFunctions } from "./addon.ts";
import { pair } from "./elementwise.ts";
import { activationNumber } from "./matmul.ts";
import { handleOf, handleOrNone, offsetOrZero } from "./storage.ts";

/** Convolutions and their gradients, with operands rounded to bfloat16 if so asked. */
export function convolutionKernels(
  native: NativeFunctions,
  precision: MatmulPrecision,
): Pick<FusedKernels, "conv2d" | "conv2dInputGrad" | "conv2dWeightGrad"> {
  const useBfloat16 = Number(precision === "bfloat16");
  const sizes = (x: View, weight: View, out: View, { stride, top, left }: Conv2dPlaces): number[] => [
    ...[...x.shape, ...out.shape.slice(1), ...weight.shape.slice(1, 3)],
    ...[stride, top, left, useBfloat16],
  ];
  return {
    conv2d: ({ x, weight, bias, out, activation, preActivation, ...places }) =>
      native.convolution(
        ...[...pair(x, weight), handleOrNone(bias), offsetOrZero(bias), handleOf(out), out.offset],
        ...[...sizes(x, weight, out, places), activation ? activationNumber[activation] : 0],
        ...[handleOrNone(preActivation), offsetOrZero(preActivation)],
      ),
    conv2dInputGrad: ({ dy, weight, dx, accumulate, ...places }) =>
      native.convolutionInputGrad(
        ...[...pair(dy, weight), handleOf(dx), dx.offset, ...sizes(dx, weight, dy, places), Number(accumulate)],
      ),
    conv2dWeightGrad: ({ dy, x, dWeight, accumulate, ...places }) =>
      native.convolutionWeightGrad(
        ...[...pair(dy, x), handleOf(dWeight), dWeight.offset, ...sizes(x, dWeight, dy, places), Number(accumulate)],
      ),
  };
}
