import type { Activation } from "../backend/functions.ts";
import { apply } from "../tensor/op.ts";
import { gatedUnit } from "../tensor/ops/gated-unit.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { LinearExtra } from "./linear.ts";
import { Linear } from "./linear.ts";
import type { Initializer } from "./parameters.ts";

/** Sizes and start of a {@link GatedMlp}. */
export interface GatedMlpOptions {
  readonly width: number;
  readonly hidden: number;
  /** Of the gate. */
  readonly activation: Activation;
  /** Whether both layers have one; without it, neither has. */
  readonly bias?: boolean;
  /** Of the initial weights, of the packed layer and of the one that leads out. */
  readonly standardDeviations: readonly [inner: number, outer: number];
}

/** Feed-forward layer whose hidden units are products of an activated gate and a value. */
export class GatedMlp {
  /** Gate, then value: `[2 · hidden, width]`. */
  readonly gateAndValue: Linear;
  readonly projection: Linear;
  readonly #activation: Activation;

  constructor({ width, hidden, activation, bias = false, standardDeviations }: GatedMlpOptions, init: Initializer) {
    const [inner, outer] = standardDeviations;
    this.gateAndValue = new Linear(width, 2 * hidden, { bias, standardDeviation: inner }, init);
    this.projection = new Linear(hidden, width, { bias, standardDeviation: outer }, init);
    this.#activation = activation;
  }

  /** x `[…, width]` → the gated units `[…, hidden]`, before {@link projection}. */
  expand(x: Tensor, { random }: Pick<LinearExtra, "random"> = {}): Tensor {
    return apply(gatedUnit, [this.gateAndValue.forward(x, { random })], { activation: this.#activation });
  }
}
