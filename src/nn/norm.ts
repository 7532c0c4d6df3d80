import { apply } from "../tensor/op.ts";
import { layerNorm } from "../tensor/ops/norm.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Initializer, Parameter } from "./parameters.ts";

/** Layer normalisation with a trained gain (1 at first) and bias (0 at first). */
export class LayerNorm {
  /** `[width]` */
  readonly gain: Parameter;
  /** `[width]` */
  readonly bias: Parameter;
  readonly epsilon: number;

  constructor(width: number, epsilon: number, init: Initializer) {
    this.gain = init.constant([width], 1);
    this.bias = init.constant([width], 0);
    this.epsilon = epsilon;
  }

  /** x `[…, width]` → same shape. */
  forward(x: Tensor): Tensor {
    return apply(layerNorm, [x, this.gain, this.bias], { epsilon: this.epsilon });
  }
}
