import type { Dtype } from "../backend/storage.ts";
import { storedBytes } from "../backend/weight-formats.ts";
import type { Placement } from "../checkpoint/assign-tensors.ts";
import { parameters } from "../nn/parameters.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** A parameter of a model that is open. */
export interface ListedParameter {
  /** As its folder calls it; what the folder has no name for, such as an adapter, by its path through the model. */
  readonly name: string;
  /** As its folder has it. */
  readonly shape: readonly number[];
  /** How its numbers lie in memory. */
  readonly format: Dtype;
  /** Bytes that it takes there. */
  readonly bytes: number;
  readonly tensor: Tensor;
}

/** All parameters of a model: those that have a place in its folder, in the folder's order, then the others. */
export function listParameters(model: object, placements: readonly Placement[]): ListedParameter[] {
  const placed = new Set(placements.map(({ tensor }) => tensor.storage));
  const others = [...parameters(model)].filter(([, { storage }]) => !placed.has(storage));
  return [
    ...placements.map(({ name, tensor, transposed = false }) => entryOf(name, tensor, transposed)),
    ...others.map(([name, tensor]) => entryOf(name, tensor, false)),
  ];
}

function entryOf(name: string, tensor: Tensor, transposed: boolean): ListedParameter {
  const { shape, dtype, size } = tensor;
  return {
    name,
    shape: transposed ? [...shape].reverse() : shape,
    format: dtype,
    bytes: storedBytes(dtype, size),
    tensor,
  };
}
