import type { Activation } from "../functions.ts";
import type { Kernels, MatmulPrecision } from "../kernels.ts";
import type { NativeFunctions } from "./addon.ts";
import { handleOf, handleOrNone, offsetOrZero, weightHandleOf } from "./storage.ts";

/** Numbers of `enum class Activation` in native/kernels/matmul.h; 0 is none. */
export const activationNumber: Record<Activation, number> = {
  ...{ gelu: 1, geluTanh: 2, quickGelu: 3, relu: 4, silu: 5, tanh: 6 },
};

/** Matrix products, with operands rounded to bfloat16 if so asked. */
export function matmulKernels(native: NativeFunctions, precision: MatmulPrecision): Pick<Kernels, "matmul"> {
  const useBfloat16 = precision === "bfloat16" ? 1 : 0;
  return {
    matmul(p) {
      native.matmul(
        ...[handleOf(p.a), p.a.offset, weightHandleOf(p.b), p.b.offset, handleOf(p.out), p.out.offset],
        ...[p.batch, p.m, p.n, p.k, Number(p.transposeA), Number(p.transposeB), p.batchStrideA, p.batchStrideB],
        ...[Number(p.accumulate ?? false), useBfloat16, Number(p.roundsRows ?? false)],
        ...[handleOrNone(p.bias), offsetOrZero(p.bias)],
        ...[handleOrNone(p.residual), offsetOrZero(p.residual), p.activation ? activationNumber[p.activation] : 0],
        ...[handleOrNone(p.preActivation), offsetOrZero(p.preActivation)],
      );
    },
  };
}
