import type { Placement } from "../checkpoint/assign-tensors.ts";
import { toStored, writableTensors } from "../checkpoint/assign-tensors.ts";
import type { WritableTensor } from "../checkpoint/tensor-source.ts";
import { SettingsError } from "../core/errors.ts";
import type { Random } from "../core/random.ts";
import { Linear } from "../nn/linear.ts";
import { LowRank } from "../nn/low-rank.ts";
import { Initializer, parameters, partsOf } from "../nn/parameters.ts";
import type { StoredModel } from "./language-model.ts";

/** How a model is adapted. */
export interface LowRankOptions {
  readonly rank: number;
  /** α: the change counts α / rank times. */
  readonly alpha: number;
  /** Which matrices: those of attention, or of the feed-forward layers as well; never a router or its experts. */
  readonly targets: "attention" | "all";
  /** Share of the adapters' inputs dropped in training; 0 without. */
  readonly dropout?: number;
}

/**
 * Freezes a model and gives its matrices adapters, which alone are trained then.
 *
 * @throws {SettingsError} when none of its layers can have one, or the rank is above a matrix's own.
 * @see Hu et al. (2022), "LoRA: Low-rank adaptation of large language models", arXiv:2106.09685.
 */
export function adapt(model: StoredModel, options: LowRankOptions, random: Random): void {
  const { rank, alpha, targets, dropout = 0 } = options;
  const isMeant = (name: string): boolean =>
    targets === "all" ? !name.endsWith("router") : /(^|\.)(attention|cross)\./.test(name);
  const adapted = [...linearsOf(model)].filter(([name]) => isMeant(name));
  if (adapted.length === 0) throw new SettingsError("lora-rank: this model has no layer to adapt; train it whole");
  const most = Math.min(...adapted.flatMap(([, { weight }]) => weight.shape));
  if (rank > most) {
    throw new SettingsError(
      `lora-rank: ${rank} is above ${most}, the smallest side of a matrix it would change; choose ${most} or less, or train the model whole`,
    );
  }
  for (const parameter of parameters(model).values()) parameter.requiresGrad = false;
  const init = new Initializer(model.backend, random);
  for (const [, layer] of adapted) {
    layer.adapter = LowRank.start(layer.weight, { rank, alpha, dropout }, init);
  }
}

/** Every linear layer of a model by its path through the model's fields. */
export function linearsOf(model: object): Map<string, Linear> {
  return partsOf(model, (value) => value instanceof Linear);
}

/** The changes that a layer's matrix has, in the order in which they were made. */
export function changesOf({ added, adapter }: Linear): LowRank[] {
  return [added, adapter].filter((change) => change !== null);
}

/** What a folder without adapters holds of a model: matrices that have some with their changes, added when they are read. */
export function mergedTensors(placements: readonly Placement[], model: object): WritableTensor[] {
  const adapted = [...linearsOf(model).values()].filter((layer) => changesOf(layer).length > 0);
  const layers = new Map(adapted.map((layer) => [layer.weight.storage, layer]));
  return placements.flatMap((placement) => {
    const stored = writableTensors([placement]);
    const { tensor } = placement;
    const layer = layers.get(tensor.storage);
    if (!layer) return stored;
    const read = async (): Promise<Float32Array> => {
      const merged = tensor.copy();
      const firstRow = (tensor.offset - layer.weight.offset) / layer.weight.axis(1);
      for (const change of changesOf(layer)) change.addTo(merged, firstRow);
      const values = toStored(placement, await merged.floats());
      merged.release();
      return values;
    };
    return stored.map((own) => ({ ...own, read }));
  });
}
