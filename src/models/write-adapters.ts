import { writableTensors } from "../checkpoint/assign-tensors.ts";
import type { AdapterContents } from "../checkpoint/model-folder.ts";
import type { WritableTensor } from "../checkpoint/tensor-source.ts";
import type { JsonObject } from "../files/json.ts";
import type { LowRank } from "../nn/low-rank.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { TensorBinding } from "./family.ts";
import type { LowRankOptions } from "./low-rank-adapters.ts";
import { linearsOf } from "./low-rank-adapters.ts";

/** One matrix of a folder that has an adapter. */
interface Adapted {
  /** Name of the module in the folder: `transformer.h.0.attn.c_attn`. */
  readonly module: string;
  readonly adapter: LowRank;
  readonly binding: TensorBinding;
  readonly weight: Tensor;
}

/** What a base with adapters does, by PEFT's names. */
export type AdapterTask = "SEQ_CLS" | "CAUSAL_LM" | "FEATURE_EXTRACTION";

/**
 * What PEFT's files of a model's adapters hold. A matrix of ours that holds several of the folder's, such as queries, keys
 * and values, gives each of them the same A and its own rows of B.
 *
 * @param more - Tensors that were trained whole, such as a head.
 * @param enlarged - Embedding and output layer, where they have rows that the base lacks: PEFT keeps all of them.
 */
export function adapterContents(
  bindings: readonly TensorBinding[],
  model: object,
  about: LowRankOptions & { readonly base: string; readonly taskType: AdapterTask },
  more: readonly WritableTensor[],
  enlarged: readonly Tensor[],
): AdapterContents {
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
  return { config, tensors: [...tensors, ...tables, ...more] };
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
