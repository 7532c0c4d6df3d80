import { apply } from "../tensor/op.ts";
import { rmsNorm } from "../tensor/ops/norm.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Initializer, Parameter } from "./parameters.ts";

/** Root-mean-square normalisation with a trained gain, 1 at first. */
export class RmsNorm {
  /** `[width]` */
  readonly gain: Parameter;
  readonly epsilon: number;

  constructor(width: number, epsilon: number, init: Initializer) {
    this.gain = init.constant([width], 1);
    this.epsilon = epsilon;
  }

  /** x `[…, width]` → same shape. */
  forward(x: Tensor): Tensor {
    return apply(rmsNorm, [x, this.gain], { epsilon: this.epsilon });
  }
}
