import { ShapeError } from "../core/errors.ts";
import type { ForwardOptions } from "../nn/attention.ts";

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

/**
 * What gives the positions of a pass like this one later on, from the same cache; undefined where they come from
 * elsewhere.
 *
 * @throws {ShapeError} as {@link checkPositions}, when it is asked.
 */
export function renewedPositions(
  model: string,
  context: number,
  time: number,
  { positions, cache }: Pick<ForwardOptions, "positions" | "cache">,
): (() => Int32Array) | undefined {
  if (positions || !cache) return undefined;
  return () => {
    const later = cache.positions(time);
    checkPositions(model, context, time, later);
    return later;
  };
}
