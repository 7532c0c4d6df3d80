import type { Tensor } from "../tensor/tensor.ts";

/**
 * What `use` makes of x, the last that reads it: the memory of x is given back at once where no gradient will ask for it,
 * as in inference and in what is frozen, and where the backward pass can do without, or compute x once more cheaply, as
 * for norms and activations.
 */
export function usedOnce(x: Tensor, use: (x: Tensor) => Tensor): Tensor {
  const result = use(x);
  if (x.requiresGrad || result.requiresGrad) x.forget(result);
  else if (result.storage !== x.storage) x.release();
  return result;
}
