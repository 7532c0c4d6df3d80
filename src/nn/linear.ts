import type { Activation } from "../backend/functions.ts";
import type { Random } from "../core/random.ts";
import { apply } from "../tensor/op.ts";
import { adaptedLinear, linear } from "../tensor/ops/matmul.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { LowRank } from "./low-rank.ts";
import type { Initializer, Parameter } from "./parameters.ts";

/** How a {@link Linear} starts and whether it has a bias. */
export interface LinearOptions {
  readonly bias: boolean;
  /** Of the weights; the bias starts at 0. */
  readonly standardDeviation: number;
  /** Keeps the weights as float32 whatever the format of a model's matrices: for a few numbers that decide much. */
  readonly isExact?: boolean;
}

/** What a {@link Linear} does in the same pass: either of an activation and a residual. */
export interface LinearExtra {
  readonly activation?: Activation | null;
  /** `[…, out]` */
  readonly residual?: Tensor | null;
  /** Source of the adapter's dropout; null (the default) is inference. */
  readonly random?: Random | null | undefined;
}

/** Fully connected layer: y = x · Wᵀ + b, with an activation or a residual added in the same pass. */
export class Linear {
  /** `[out, in]` */
  readonly weight: Parameter;
  /** `[out]` */
  readonly bias: Parameter | null;
  /** A trained change of the weight, which is frozen then. */
  adapter: LowRank | null = null;
  /** What was learned before of a weight that cannot take it up, since it lies in a format for reading only. */
  added: LowRank | null = null;

  constructor(inputs: number, outputs: number, options: LinearOptions, init: Initializer) {
    const { isExact = false, standardDeviation } = options;
    const shape = [outputs, inputs];
    this.weight = isExact ? init.normal(shape, standardDeviation) : init.matrix(shape, standardDeviation);
    this.bias = options.bias ? init.constant([outputs], 0) : null;
  }

  /** x `[…, in]` → `[…, out]`. */
  forward(x: Tensor, { activation = null, residual = null, random = null }: LinearExtra = {}): Tensor {
    const { weight, bias, adapter, added } = this;
    const [first, second] = added ? [added, adapter] : [adapter, null];
    if (!first) return apply(linear, [x, weight, bias, residual], { activation });
    const low = first.reduce(x, random);
    if (!second) return apply(adaptedLinear, [x, weight, bias, residual, low, first.b], { activation });
    const before = apply(adaptedLinear, [x, weight, bias, residual, low, first.b], { activation: null });
    const sum = apply(linear, [second.reduce(x, random), second.b, null, before], { activation: null });
    return activation ? sum.map(activation) : sum;
  }
}
