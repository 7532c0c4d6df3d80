import type { Backend } from "../src/backend/kernels.ts";
import { openReference } from "../src/backend/reference/index.ts";
import { Random } from "../src/core/random.ts";
import type { Shape } from "../src/core/shape.ts";
import { elementCount } from "../src/core/shape.ts";
import { Tensor } from "../src/tensor/tensor.ts";

/** The reference in float64, for gradients against finite differences. */
export const exact: Backend = openReference({ precision: "float64" });

/** Normal numbers on the exact reference, always the same for one seed. */
export function randomTensor(shape: Shape, seed = 1, backend: Backend = exact): Tensor {
  return Tensor.from(backend, new Random(seed).normal(elementCount(shape)), shape);
}

/** A float32 tensor on the exact reference. */
export function tensor(values: readonly number[], shape: Shape = [values.length]): Tensor {
  return Tensor.from(exact, values, shape);
}

/** An int32 tensor on the exact reference. */
export function ids(values: readonly number[], shape: Shape = [values.length]): Tensor {
  return Tensor.from(exact, Int32Array.from(values), shape);
}

/** Marks a tensor as a leaf to be trained. */
export function leaf(x: Tensor): Tensor {
  x.requiresGrad = true;
  return x;
}

/** All values of a tensor, or of a gradient that must be there. */
export async function read(x: Tensor | null): Promise<number[]> {
  if (!x) throw new Error("there is no tensor to read: no gradient has arrived");
  return [...(await x.read())];
}
