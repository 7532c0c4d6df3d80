import { tensorScope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";

/** What {@link clipGradients} found. */
export interface Clipping {
  /** One element: L2 norm over all gradients together, before clipping. */
  readonly norm: Tensor;
  /** One element: what to multiply every gradient by. */
  readonly scale: Tensor;
}

/**
 * Scale that brings the norm of all gradients together down to `maximum`: min(1, maximum / (norm + 10⁻⁶)); 1 always
 * when `maximum` is 0. Nothing is multiplied here: the optimizer does that while it reads the gradients.
 *
 * @see Pascanu et al. (2013), "On the difficulty of training recurrent neural networks", algorithm 1, arXiv:1211.5063.
 */
export function clipGradients(gradients: readonly Tensor[], maximum: number): Clipping {
  const [first] = gradients;
  if (!first) throw new Error("internal: clipGradients without gradients");
  return tensorScope(() => {
    const norm = first.blank([]);
    first.backend.kernels.globalNorm(gradients, norm);
    const one = Tensor.full(first.backend, [], 1);
    const scale = maximum > 0 ? one.mul(maximum).div(norm.add(1e-6)).minimum(one) : one;
    return { norm, scale };
  });
}
