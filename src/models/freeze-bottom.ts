import { SettingsError } from "../core/errors.ts";
import { parameters } from "../nn/parameters.ts";

/**
 * Stops the lower part of a model from being trained: its embeddings and its first `layers` blocks; everything when
 * there are no more blocks than that.
 *
 * @throws {SettingsError} when the model is not made of blocks.
 */
export function freezeBottom(model: object, layers: number): void {
  const all = [...parameters(model)];
  const blockOf = (name: string): number => Number(/(?:^|\.)blocks\.(\d+)\./.exec(name)?.[1] ?? -1);
  const last = all.reduce((most, [name]) => Math.max(most, blockOf(name)), -1);
  if (last < 0) throw new SettingsError("freeze-layers: this model has no blocks to freeze; leave it out");
  for (const [name, parameter] of all) {
    const block = blockOf(name);
    const isBelow = block >= 0 ? block < layers : name.endsWith("mbedding");
    if (isBelow || layers > last) parameter.requiresGrad = false;
  }
}
