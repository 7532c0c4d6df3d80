import type { Activation } from "../backend/functions.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { LinearExtra, LinearOptions } from "./linear.ts";
import { Linear } from "./linear.ts";
import type { Initializer } from "./parameters.ts";

/** Sizes of an {@link Mlp}. */
export interface MlpOptions {
  readonly width: number;
  readonly hidden: number;
  readonly activation: Activation;
}

/** Feed-forward layer: two linear maps with an activation between. */
export class Mlp {
  readonly expansion: Linear;
  readonly projection: Linear;
  readonly #activation: Activation;

  constructor(settings: MlpOptions, inner: LinearOptions, outer: LinearOptions, init: Initializer) {
    this.expansion = new Linear(settings.width, settings.hidden, inner, init);
    this.projection = new Linear(settings.hidden, settings.width, outer, init);
    this.#activation = settings.activation;
  }

  /** x `[…, width]` → the activated inner layer `[…, hidden]`, before {@link projection}. */
  expand(x: Tensor, { random }: Pick<LinearExtra, "random"> = {}): Tensor {
    return this.expansion.forward(x, { activation: this.#activation, random });
  }
}
