import type { Parameter } from "../nn/parameters.ts";
import type { TensorBinding } from "./family.ts";

/**
 * Tensors that a model folder keeps apart and that one parameter holds, one below the other: the projections of
 * queries, keys and values in one matrix, for example.
 *
 * Shapes: rows of `parts` in all × width = the parameter's size; a part of a vector is a vector.
 */
export function packedTensors(
  parameter: Parameter,
  parts: readonly (readonly [name: string, rows: number])[],
): TensorBinding[] {
  const isVector = parameter.shape.length === 1;
  const width = isVector ? 1 : parameter.axis(-1);
  let start = 0;
  return parts.map(([name, rows]) => {
    const part = parameter.window(start * width, isVector ? [rows] : [rows, width]);
    start += rows;
    return { name, parameter: part, transposed: false };
  });
}
