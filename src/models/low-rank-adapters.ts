import { join } from "node:path";
import type { Placement } from "../checkpoint/assign-tensors.ts";
import { toStored, writableTensors } from "../checkpoint/assign-tensors.ts";
import { floatKeys } from "../checkpoint/float-keys.ts";
import { writeSafetensors } from "../checkpoint/safetensors-file.ts";
import type { WritableTensor } from "../checkpoint/tensor-source.ts";
import { SettingsError } from "../core/errors.ts";
import type { Random } from "../core/random.ts";
import { writeFileAtomic } from "../files/atomic-write.ts";
import type { JsonObject } from "../files/json.ts";
import { formatJson } from "../files/json.ts";
import { makeFolder } from "../files/make-folder.ts";
import { Linear } from "../nn/linear.ts";
import { LowRank } from "../nn/low-rank.ts";
import { Initializer, parameters, partsOf } from "../nn/parameters.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { TensorBinding } from "./family.ts";
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
    targets === "all" ? !name.endsWith("router") : name.includes("attention");
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
    layer.adapter = new LowRank(layer.weight, { rank, alpha, dropout }, init);
  }
}

/** Every linear layer of a model by its path through the model's fields. */
export function linearsOf(model: object): Map<string, Linear> {
  return partsOf(model, (value) => value instanceof Linear);
}

/** What a folder without adapters holds of a model: matrices that have one with their change, each added when it is read. */
export function mergedTensors(placements: readonly Placement[], model: object): WritableTensor[] {
  const adapted = [...linearsOf(model).values()].filter(({ adapter }) => adapter);
  const layers = new Map(adapted.map((layer) => [layer.weight.storage, layer]));
  return placements.flatMap((placement) => {
    const stored = writableTensors([placement]);
    const { tensor } = placement;
    const { adapter, weight } = layers.get(tensor.storage) ?? {};
    if (!adapter || !weight) return stored;
    const read = async (): Promise<Float32Array> => {
      const merged = adapter.merged(tensor, (tensor.offset - weight.offset) / weight.axis(1));
      const values = toStored(placement, await merged.floats());
      merged.release();
      return values;
    };
    return stored.map((own) => ({ ...own, read }));
  });
}

/** One matrix of a folder that has an adapter. */
interface Adapted {
  /** Name of the module in the folder: `transformer.h.0.attn.c_attn`. */
  readonly module: string;
  readonly adapter: LowRank;
  readonly binding: TensorBinding;
  readonly weight: Tensor;
}

/**
 * Writes adapters as PEFT does: `adapter_config.json` and `adapter_model.safetensors`. A matrix of ours that holds
 * several of the folder's, such as queries, keys and values, gives each of them the same A and its own rows of B.
 *
 * @param more - Tensors that were trained whole, such as a head.
 * @param enlarged - Embedding and output layer, where they have rows that the base lacks: PEFT keeps all of them.
 */
export async function writeAdapters(
  folder: string,
  bindings: readonly TensorBinding[],
  model: object,
  about: LowRankOptions & { readonly base: string; readonly taskType: "SEQ_CLS" | "CAUSAL_LM" },
  more: readonly WritableTensor[],
  enlarged: readonly Tensor[],
): Promise<void> {
  const adapted = adaptedMatrices(bindings, model);
  const tensors = adapted.flatMap(({ module, adapter, binding, weight }): WritableTensor[] => {
    const [rank, width] = [adapter.a.axis(0), weight.axis(1)];
    const start = (binding.parameter.offset - weight.offset) / width;
    const tensor = adapter.b.window(start * rank, [binding.parameter.axis(0), rank]);
    const name = `base_model.model.${module}`;
    const b = writableTensors([{ name: `${name}.lora_B.weight`, tensor, rows: binding.rows }]);
    return [writable(`${name}.lora_A.weight`, adapter.a), ...b];
  });
  const isEnlarged = ({ parameter }: TensorBinding): boolean =>
    enlarged.some(({ storage }) => storage === parameter.storage);
  const tables = bindings
    .filter(isEnlarged)
    .map(({ name, parameter }) => writable(`base_model.model.${name}`, parameter));
  await makeFolder(folder);
  await writeSafetensors(join(folder, "adapter_model.safetensors"), [...tensors, ...tables, ...more]);
  const config: JsonObject = {
    base_model_name_or_path: about.base,
    bias: "none",
    fan_in_fan_out: adapted.some(({ binding }) => binding.transposed),
    inference_mode: true,
    lora_alpha: about.alpha,
    lora_dropout: about.dropout ?? 0,
    modules_to_save: more.length > 0 ? [...new Set(more.map(({ name }) => name.split(".").at(-2) ?? ""))] : null,
    peft_type: "LORA",
    r: about.rank,
    target_modules: targetModules(adapted, bindings),
    task_type: about.taskType,
  };
  const name = "adapter_config.json";
  await writeFileAtomic(join(folder, name), formatJson(name, config, floatKeys));
}

/**
 * Ends of the names of the adapted modules, by which PEFT finds them: as short as they can be without being the end of
 * another's name, since BERT's `output.dense` is one of attention and one of the feed-forward layer.
 */
function targetModules(adapted: readonly Adapted[], bindings: readonly TensorBinding[]): string[] {
  const own = new Set(adapted.map(({ module }) => module));
  const others = bindings.map(({ name }) => name.replace(/\.weight$/, "")).filter((name) => !own.has(name));
  const ends = [...own].map((module) => {
    const parts = module.split(".");
    const ofLength = (length: number): string => parts.slice(-length).join(".");
    const isOwn = (end: string): boolean => !others.some((other) => other.endsWith(`.${end}`));
    return parts.map((_, i) => ofLength(i + 1)).find((end, i) => i > 0 && isOwn(end)) ?? module;
  });
  return [...new Set(ends)];
}

function adaptedMatrices(bindings: readonly TensorBinding[], model: object): Adapted[] {
  const layers = [...linearsOf(model).values()];
  return bindings.flatMap((binding) => {
    const layer = layers.find(({ weight }) => weight.storage === binding.parameter.storage);
    if (!layer?.adapter || !binding.name.endsWith(".weight")) return [];
    const module = binding.name.slice(0, -".weight".length);
    return [{ module, adapter: layer.adapter, binding, weight: layer.weight }];
  });
}

function writable(name: string, tensor: Tensor): WritableTensor {
  return { name, shape: tensor.shape, read: () => tensor.floats() };
}
