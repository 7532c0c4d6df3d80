import { toStored } from "../checkpoint/assign-tensors.ts";
import type { AdapterContents } from "../checkpoint/model-folder.ts";
import type { WritableTensor } from "../checkpoint/tensor-source.ts";
import type { JsonObject } from "../files/json.ts";
import type { LowRank } from "../nn/low-rank.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { TensorBinding } from "./family.ts";
import type { LowRankOptions } from "./low-rank-adapters.ts";
import { changesOf, linearsOf } from "./low-rank-adapters.ts";

/** One matrix of a folder that has an adapter. */
interface Adapted {
  /** Name of the module in the folder: `transformer.h.0.attn.c_attn`. */
  readonly module: string;
  /** Those of its changes that are written. */
  readonly changes: readonly LowRank[];
  readonly binding: TensorBinding;
  readonly weight: Tensor;
}

/** What a base with adapters does, by PEFT's names; null where it has none. */
export type AdapterTask = "SEQ_CLS" | "CAUSAL_LM" | "SEQ_2_SEQ_LM" | "FEATURE_EXTRACTION" | null;

/** What is written of a model's adapters, and what a config says of them. */
export interface AdapterAbout extends LowRankOptions {
  readonly base: string;
  readonly taskType: AdapterTask;
  /** Whether what was added to the base before the run is written as a part of the adapter. */
  readonly withAdded?: boolean;
}

/**
 * What PEFT's files of a model's adapters hold. A matrix of ours that holds several of the folder's, such as queries, keys
 * and values, gives each of them the same A and its own rows of B. Several changes of one matrix are one whose rank is the
 * sum of theirs.
 *
 * @param more - Tensors that were trained whole, such as a head.
 * @param enlarged - Embedding and output layer, where they have rows that the base lacks: PEFT keeps all of them.
 */
export function adapterContents(
  bindings: readonly TensorBinding[],
  model: object,
  about: AdapterAbout,
  more: readonly WritableTensor[],
  enlarged: readonly Tensor[],
): AdapterContents {
  const adapted = adaptedMatrices(bindings, model, about.withAdded ?? false);
  const isPlain = ({ changes }: Adapted): boolean => changes.length === 1 && rankOf(changes) === about.rank;
  const patterns = adapted.filter((one) => !isPlain(one)).map(({ module, changes }) => [module, rankOf(changes)]);
  const tensors = adapted.flatMap((one) => pairOf(one, isPlain(one) ? about.alpha / about.rank : 1));
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
    ...(patterns.length > 0 && {
      alpha_pattern: Object.fromEntries(patterns),
      rank_pattern: Object.fromEntries(patterns),
    }),
    lora_alpha: about.alpha,
    lora_dropout: about.dropout ?? 0,
    modules_to_save: more.length > 0 ? wholeModules(more, bindings) : null,
    peft_type: "LORA",
    r: about.rank,
    target_modules: targetModules(adapted, bindings),
    task_type: about.taskType,
  };
  return { config, tensors: [...tensors, ...tables, ...more] };
}

/** Names of the outermost modules all of whose tensors are written whole. */
function wholeModules(more: readonly WritableTensor[], bindings: readonly TensorBinding[]): string[] {
  const whole = new Set(more.map(({ name }) => name.replace(/^base_model\.model\./, "")));
  const isWhole = (module: string): boolean =>
    bindings.every(({ name }) => whole.has(name) || !name.startsWith(`${module}.`));
  const modules = [...whole].map((name) => {
    const parts = name.split(".").slice(0, -1);
    return parts.map((_, i) => parts.slice(0, i + 1).join(".")).find(isWhole) ?? parts.join(".");
  });
  return [...new Set(modules)];
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

function adaptedMatrices(bindings: readonly TensorBinding[], model: object, withAdded: boolean): Adapted[] {
  const layers = [...linearsOf(model).values()];
  return bindings.flatMap((binding) => {
    const layer = layers.find(({ weight }) => weight.storage === binding.parameter.storage);
    if (!layer || !binding.name.endsWith(".weight")) return [];
    const changes = changesOf(layer).filter((change) => withAdded || change === layer.adapter);
    if (changes.length === 0) return [];
    return [{ module: binding.name.slice(0, -".weight".length), changes, binding, weight: layer.weight }];
  });
}

function rankOf(changes: readonly LowRank[]): number {
  return changes.reduce((sum, { a }) => sum + a.axis(0), 0);
}

/** A and B of a module: those of its changes side by side, B so that the product counts `scale` times. */
function pairOf({ module, changes, binding, weight }: Adapted, scale: number): WritableTensor[] {
  const [rank, width, rows] = [rankOf(changes), weight.axis(1), binding.parameter.axis(0)];
  const first = (binding.parameter.offset - weight.offset) / width;
  const readA = async (): Promise<Float32Array> => {
    const out = new Float32Array(rank * width);
    let at = 0;
    for (const { a } of changes) {
      out.set(await a.floats(), at);
      at += a.size;
    }
    return out;
  };
  const readB = async (): Promise<Float32Array> => {
    const out = new Float32Array(rows * rank);
    let at = 0;
    for (const { b, scale: own } of changes) {
      const columns = b.axis(1);
      const values = await b.window(first * columns, [rows, columns]).floats();
      values.forEach((value, i) => {
        out[Math.floor(i / columns) * rank + at + (i % columns)] = value * (own / scale);
      });
      at += columns;
    }
    return toStored({ tensor: { shape: [rows, rank] }, rows: binding.rows }, out);
  };
  const name = `base_model.model.${module}`;
  return [
    { name: `${name}.lora_A.weight`, shape: [rank, width], read: readA },
    { name: `${name}.lora_B.weight`, shape: [rows, rank], read: readB },
  ];
}

function writable(name: string, tensor: Tensor): WritableTensor {
  return { name, shape: tensor.shape, read: () => tensor.floats() };
}
