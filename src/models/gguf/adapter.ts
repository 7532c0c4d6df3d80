import { basename, resolve } from "node:path";
import { openReference } from "../../backend/reference/index.ts";
import { toStored } from "../../checkpoint/assign-tensors.ts";
import type { GgufValue } from "../../checkpoint/gguf-values.ts";
import type { GgufTensor } from "../../checkpoint/gguf-writer.ts";
import { writeGguf } from "../../checkpoint/gguf-writer.ts";
import type { FloatDtype } from "../../checkpoint/tensor-source.ts";
import { SettingsError, UnsupportedError } from "../../core/errors.ts";
import type { LowRankChange } from "../added-adapters.ts";
import { withLowRankChanges } from "../added-adapters.ts";
import { openModel, speakingFamilyIn } from "../load.ts";
import { createEmpty, storedTensors } from "../read-model.ts";
import type { GgufPlan } from "./plan.ts";
import { embeddingInFile, ggufPlan, layoutsFor, placeInFile } from "./plan.ts";

/**
 * Writes an adapter in PEFT's layout as the GGUF file that llama.cpp adds to its base (`--lora`). Atomic.
 *
 * @param base - The model that it was made for: a folder, or a GGUF file.
 * @param adapter - As {@link addAdapters} takes it.
 * @returns how many matrices it changes.
 * @throws {UnsupportedError} when llama.cpp has no such model, or no such adapter: one of the embedding, of experts, or with
 * matrices that are kept whole.
 * @throws {CheckpointError} when the adapter is damaged, or of another model.
 */
export async function exportGgufAdapter(
  base: string,
  adapter: string,
  path: string,
  dtype: FloatDtype = "F32",
): Promise<number> {
  const family = await speakingFamilyIn(base);
  layoutsFor(family.modelType);
  const source = await openModel(base);
  try {
    const model = await createEmpty(family, source, openReference());
    const settings = family.readConfig(source.config) as { readonly vocabularySize: number };
    const plan = await ggufPlan({ family, settings, tensors: storedTensors(family, model) });
    return await withLowRankChanges({ family, model }, adapter, async (changes) => {
      if (changes.length === 0) throw new SettingsError(`adapter: ${adapter} changes nothing; train it first`);
      const tensors = changes.flatMap((change) => pairInFile(plan, change, { alpha: alphaOf(changes), dtype }));
      await writeGguf(path, { metadata: metadataOf(plan, basename(resolve(adapter)), changes), tensors });
      return changes.length;
    });
  } finally {
    await source.close();
  }
}

/** One α for all, that of the first matrix: the others' B make up for what differs. Of 0 llama.cpp would make 1. */
function alphaOf([first]: readonly LowRankChange[]): number {
  return (first && first.scale * first.rank) || 1;
}

function metadataOf({ layout }: GgufPlan, name: string, changes: readonly LowRankChange[]): Map<string, GgufValue> {
  return new Map<string, GgufValue>([
    ["general.architecture", { type: "string", value: layout.architecture }],
    ["general.type", { type: "string", value: "adapter" }],
    ["general.name", { type: "string", value: name }],
    ["adapter.type", { type: "string", value: "lora" }],
    ["adapter.lora.alpha", { type: "float32", value: alphaOf(changes) }],
  ]);
}

/** A and B of a matrix; B's rows are in the order of the matrix's rows in a file of the base. */
function pairInFile({ layout, counts }: GgufPlan, change: LowRankChange, files: FileOfAdapter): GgufTensor[] {
  const { placement, rank, scale } = change;
  const { entry, name } = placeInFile(layout, placement.name) ?? {};
  if (!entry || name === undefined || name === embeddingInFile || entry.folder.includes("@")) {
    throw new UnsupportedError(
      `gguf: llama.cpp has no adapters of ${placement.name}; merge it into its model (stemma merge), and export that`,
    );
  }
  const [outputs = 0, inputs = 0] = placement.tensor.shape;
  const { rows } = entry.arrangement(outputs, counts);
  const more = (scale * rank) / files.alpha;
  const { dtype } = files;
  return [
    { name: `${name}.lora_a`, shape: [rank, inputs], dtype, read: change.down },
    {
      ...{ name: `${name}.lora_b`, shape: [outputs, rank], dtype },
      async read() {
        const arranged = toStored({ tensor: { shape: [outputs, rank] }, rows }, await change.up());
        return more === 1 ? arranged : arranged.map((value) => value * more);
      },
    },
  ];
}

/** What is the same for all of an adapter. */
interface FileOfAdapter {
  readonly alpha: number;
  readonly dtype: FloatDtype;
}
