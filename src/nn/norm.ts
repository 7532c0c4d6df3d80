import { apply } from "../tensor/op.ts";
import { layerNorm } from "../tensor/ops/norm.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Initializer, Parameter } from "./parameters.ts";
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
  /** `[width]` */
  readonly gain: Parameter | null;
  /** `[width]` */
  readonly bias: Parameter | null;
  readonly epsilon: number;

  constructor(width: number, epsilon: number, init: Initializer, parts: LayerNormParts = { gain: true, bias: true }) {
    this.gain = parts.gain ? init.constant([width], 1) : null;
    this.bias = parts.bias ? init.constant([width], 0) : null;
    this.epsilon = epsilon;
  }

  /** x `[…, width]` → same shape. */
  forward(x: Tensor): Tensor {
    return apply(layerNorm, [x, this.gain, this.bias], { epsilon: this.epsilon });
  }
}

/**
 * Adaptive layer norm: (1 + scale) ⊙ norm(x) + shift, the norm without a gain of its own.
 *
 * Shapes: x `[batch, …, width]`, scale and shift `[batch, width]` → as x.
 *
 * @see Peebles & Xie (2023), "Scalable diffusion models with transformers", section 3.2, arXiv:2212.09748.
 */
export function adaptiveNorm(x: Tensor, scale: Tensor, shift: Tensor, epsilon: number): Tensor {
  return apply(layerNorm, [x, scale.add(1), shift], { epsilon });
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
