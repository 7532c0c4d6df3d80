import { SettingsError } from "../core/errors.ts";
import { parameters } from "../nn/parameters.ts";

/**
 * Stops the lower part of a model from being trained: its embeddings, with their norm where it has one, and
 * its first `layers` blocks; everything when these are all.
 *
 * @throws {SettingsError} when the model is not made of blocks, or of fewer.
 */
export function freezeBottom(model: object, layers: number): void {
  const all = [...parameters(model)];
  const blockOf = (name: string): number => Number(/(?:^|\.)blocks\.(\d+)\./.exec(name)?.[1] ?? -1);
  const last = all.reduce((most, [name]) => Math.max(most, blockOf(name)), -1);
  if (last < 0) throw new SettingsError("freeze-layers: this model has no blocks to freeze; leave it out");
  if (layers > last + 1) {
    throw new SettingsError(
      `freeze-layers: the model has ${last + 1} blocks, ${layers} cannot be frozen; choose ${last + 1} or fewer`,
    );
  }
  for (const [name, parameter] of all) {
    const block = blockOf(name);
    const isBelow = block >= 0 ? block < layers : /[eE]mbedding(Norm\.\w+)?$/.test(name);
    if (isBelow || layers > last) parameter.requiresGrad = false;
  }
}
