import type { Tensor } from "../tensor/tensor.ts";

/** Shortest length that a vector is divided by, as in PyTorch's `normalize`. */
const shortest = 1e-12;

/** Vectors `[…, width]` with a length of 1: x / max(‖x‖, 1e-12). One of zeros stays. */
export function unitVectors(x: Tensor): Tensor {
  const squares = x.mul(x).sum(x.shape.length - 1, true);
  return x.mul(squares.maximum(shortest ** 2).map("rsqrt"));
}
