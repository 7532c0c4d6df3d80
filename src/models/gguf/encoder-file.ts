import { openReference } from "../../backend/reference/index.ts";
import { wordPieceMetadata } from "../../checkpoint/gguf-word-piece.ts";
import { writeGguf } from "../../checkpoint/gguf-writer.ts";
import { UnsupportedError } from "../../core/errors.ts";
import { loadTokenizer } from "../../text/load-tokenizer.ts";
import type { BertSettings } from "../bert.ts";
import type { EncoderFamily } from "../encoder-family.ts";
import type { AnyFamily } from "../family.ts";
import { loadModelOf } from "../load.ts";
import { storedTensors } from "../read-model.ts";
import type { SentenceModules } from "../sentence-modules.ts";
import { plainModules, readSentenceModules } from "../sentence-modules.ts";
import { ggufContents } from "./contents.ts";
import type { GgufMixture } from "./mixtures.ts";
import { layoutsFor } from "./plan.ts";

/** llama.cpp's numbers for ways of making one vector of a text's states. */
const poolings: Readonly<Partial<Record<SentenceModules["pooling"][number], number>>> = {
  mean: 1,
  cls: 2,
  lasttoken: 3,
};

/** An encoder that is to become a file. */
export interface ExportedEncoder {
  readonly family: EncoderFamily;
  readonly folder: string;
  /** As {@link addAdapters} takes them. */
  readonly adapters: readonly string[];
  /** What the file calls it. */
  readonly name: string;
}

/**
 * Writes an encoder, without its heads, as a GGUF file that llama.cpp makes embeddings with; a sentence-transformers folder
 * says how states are pooled, without it the mean is taken. Atomic.
 *
 * @returns why embeddings will differ from those of the folder, or null.
 * @throws {UnsupportedError} when llama.cpp has no such model, tokenizer or pooling.
 * @throws {CheckpointError} when the folder is damaged.
 */
export async function exportEncoder(
  { family, folder, adapters, name }: ExportedEncoder,
  path: string,
  mixture: GgufMixture,
): Promise<string | null> {
  layoutsFor(family.description.modelType);
  const found = await readSentenceModules(folder);
  const { modules, modelPath } = found ?? { modules: plainModules, modelPath: folder };
  const pooling = poolingOf(modules);
  const missing = { random: null, report: () => undefined };
  const model = await loadModelOf(family.body, modelPath, openReference(), { missing, adapters });
  const tokenizer = await loadTokenizer(modelPath);
  const { settings } = model;
  // Ids of padding, and how many kinds of segments there are, are the tokenizer's in a file.
  const plain: BertSettings = { ...settings, padding: 0, segments: settings.segments > 0 ? 2 : 0 };
  const contents = await ggufContents(
    {
      ...{ name, family: family.body as AnyFamily, tokenizer },
      settings: plain,
      tensors: storedTensors(family.body as AnyFamily, model).filter((one) => !one.name.startsWith("pooler.")),
      tokenizerMetadata: (rows) => wordPieceMetadata(tokenizer, rows, settings.segments),
      more: [["pooling_type", { type: "uint32", value: pooling }]],
    },
    mixture,
  );
  await writeGguf(path, contents);
  return contents.differs;
}

function poolingOf({ pooling: [first, ...others] }: SentenceModules): number {
  const number = others.length === 0 && first !== undefined ? poolings[first] : undefined;
  if (number !== undefined) return number;
  throw new UnsupportedError(
    `gguf: llama.cpp pools states by ${Object.keys(poolings).join(", ")}, this model by ${[first, ...others].join(" and ")}; ` +
      "take another model",
  );
}
