import { ShapeError } from "../core/errors.ts";

/**
 * Refuses tokens at positions that a model does not have.
 *
 * @throws {ShapeError} naming the model and the last position.
 */
export function checkPositions(model: string, context: number, time: number, positions: Int32Array | null): void {
  const last = positions ? positions.reduce((a, b) => Math.max(a, b), 0) : time - 1;
  if (last >= context) {
    throw new ShapeError(`${model}: position ${last} is beyond the context of ${context} tokens`);
  }
}
