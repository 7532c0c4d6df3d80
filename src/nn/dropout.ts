import type { Random } from "../core/random.ts";
import { apply } from "../tensor/op.ts";
import { dropout } from "../tensor/ops/dropout.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** x with a share `rate` of its elements dropped; x itself when `rate` is 0 or there is no generator (inference). */
export function dropOut(x: Tensor, rate: number, random: Random | null): Tensor {
  return rate > 0 && random ? apply(dropout, [x], { rate, draw: random.draw() }) : x;
}
