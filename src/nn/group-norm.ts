import { apply } from "../tensor/op.ts";
import { groupNorm } from "../tensor/ops/group-norm.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Initializer, Parameter } from "./parameters.ts";

/** Group normalisation with a trained gain (1 at first) and bias (0 at first) of each channel. */
export class GroupNorm {
  /** `[channels]` */
  readonly gain: Parameter;
  /** `[channels]` */
  readonly bias: Parameter;
  readonly #groups: number;
  readonly #epsilon: number;

  constructor(channels: number, rule: { readonly groups: number; readonly epsilon: number }, init: Initializer) {
    this.gain = init.constant([channels], 1);
    this.bias = init.constant([channels], 0);
    this.#groups = rule.groups;
    this.#epsilon = rule.epsilon;
  }

  /** x `[batch, …, channels]` → same shape, SiLU in the same pass where it is asked for. */
  forward(x: Tensor, activation: "silu" | null = null): Tensor {
    const attrs = { groups: this.#groups, epsilon: this.#epsilon, activation };
    return apply(groupNorm, [x, this.gain, this.bias], attrs);
  }
}
