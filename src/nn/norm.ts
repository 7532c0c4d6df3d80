import { apply } from "../tensor/op.ts";
import { layerNorm } from "../tensor/ops/norm.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Initializer } from "./parameters.ts";
import { RmsNorm } from "./rms-norm.ts";

/** Which of its parts a {@link LayerNorm} trains. */
export interface LayerNormParts {
  /** Multiplies; 1 without. */
  readonly gain: boolean;
  /** Is added; 0 without. */
  readonly bias: boolean;
}

/** Layer normalisation with a trained gain (1 at first) and bias (0 at first), where it has these. */
export class LayerNorm {
  /** `[width]`; a constant where it is not trained. */
  readonly gain: Tensor;
  /** `[width]`; a constant where it is not trained. */
  readonly bias: Tensor;
  readonly epsilon: number;

  constructor(width: number, epsilon: number, init: Initializer, parts: LayerNormParts = { gain: true, bias: true }) {
    this.gain = parts.gain ? init.constant([width], 1) : Tensor.full(init.backend, [width], 1).keep();
    this.bias = parts.bias ? init.constant([width], 0) : Tensor.full(init.backend, [width], 0).keep();
    this.epsilon = epsilon;
  }

  /** x `[…, width]` → same shape. */
  forward(x: Tensor): Tensor {
    return apply(layerNorm, [x, this.gain, this.bias], { epsilon: this.epsilon });
  }
}

/** Which norm a model has: of the root mean square, or of mean and variance. */
export type NormRule =
  | { readonly kind: "rms"; readonly epsilon: number }
  | ({ readonly kind: "layer"; readonly epsilon: number } & LayerNormParts);

/** Either kind of norm over the last axis. */
export type Norm = LayerNorm | RmsNorm;

/** A norm by its rule. */
export function createNorm(width: number, rule: NormRule, init: Initializer): Norm {
  return rule.kind === "rms" ? new RmsNorm(width, rule.epsilon, init) : new LayerNorm(width, rule.epsilon, init, rule);
}
