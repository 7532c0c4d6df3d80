import type { Tensor } from "../tensor/tensor.ts";

/**
 * What `use` makes of x, the last that reads it: the memory of x is given back at once, and the backward pass computes x
 * once more where it needs it and that is cheap, as for norms and activations.
 */
export function usedOnce(x: Tensor, use: (x: Tensor) => Tensor): Tensor {
  const result = use(x);
  x.forget();
  return result;
}
