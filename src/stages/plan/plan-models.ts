import { existsSync } from "node:fs";
import { SettingsError } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";
import type { BertSettings } from "../../models/bert.ts";
import { Bert } from "../../models/bert.ts";
import { bert } from "../../models/bert-families.ts";
import { EncoderDecoder } from "../../models/encoder-decoder.ts";
import type { EncoderDecoderSettings } from "../../models/encoder-decoder-settings.ts";
import type { AnyFamily, ModelFamily } from "../../models/family.ts";
import { families } from "../../models/index.ts";
import type { StoredModel } from "../../models/language-model.ts";
import { openModel } from "../../models/load.ts";
import { anyFamilyIn, storedFormats } from "../../models/read-model.ts";
import type { WeightChoice, WeightPlan } from "../../models/weight-choice.ts";
import { formatsLike, uniformFormats } from "../../models/weight-choice.ts";
import type { Initializer } from "../../nn/parameters.ts";

/** An encoder as far as a plan needs it. */
export interface PlannedEncoder extends PlannedFormats {
  readonly kind: "encoder";
  readonly settings: BertSettings;
}

/** An encoder-decoder as far as a plan needs it. */
export interface PlannedTextToText extends PlannedFormats {
  readonly kind: "encoder-decoder";
  readonly settings: EncoderDecoderSettings;
}

interface PlannedFormats {
  /** How its matrices lie in memory where they stay as they are; default: all float32. */
  readonly formats?: WeightPlan["formats"];
}

interface PlannedDecoder extends PlannedFormats {
  readonly kind: "decoder";
  readonly family: ModelFamily;
  readonly settings: unknown;
}

/** A model as far as a plan needs it: its settings without weights, of a family of decoders, of BERT or of T5. */
export type PlannedModel = { readonly name: string } & (PlannedDecoder | PlannedEncoder | PlannedTextToText);

/**
 * What a plan needs to know of a model of any family.
 *
 * @param loaded - One that is in memory as it will be in the run.
 */
export function plannedModel(name: string, family: AnyFamily, settings: unknown, loaded?: StoredModel): PlannedModel {
  const { architecture = "decoder" } = family;
  const like = (create: (init: Initializer) => StoredModel, model = loaded): WeightPlan["formats"] =>
    model ? formatsLike(model, create) : [];
  if (architecture === "encoder") {
    const own = settings as BertSettings;
    // Its heads are made after the body, and lie as they please.
    const { body = loaded } = (loaded ?? {}) as { readonly body?: StoredModel };
    return { name, kind: architecture, settings: own, formats: like((init) => new Bert(own, init), body) };
  }
  if (architecture === "encoder-decoder") {
    const own = settings as EncoderDecoderSettings;
    return { name, kind: architecture, settings: own, formats: like((init) => new EncoderDecoder(own, init)) };
  }
  const decoder = family as ModelFamily;
  const formats = like((init) => decoder.create(settings, init));
  return { name, kind: architecture, family: decoder, settings, formats };
}

/** Sizes that override those of a named model. */
export interface ShapeOverrides {
  readonly layers?: number | undefined;
  readonly heads?: number | undefined;
  readonly width?: number | undefined;
  readonly context?: number | undefined;
  readonly vocabularySize?: number | undefined;
}

interface Published {
  readonly family: keyof typeof families | "bert";
  readonly layers: number;
  readonly heads: number;
  readonly width: number;
  readonly context: number;
  readonly vocabularySize: number;
  readonly more?: object;
}

const gpt3 = { family: "gpt2", context: 2048, vocabularySize: 50_257 } as const;
const gpt2 = { family: "gpt2", context: 1024, vocabularySize: 50_257 } as const;
const llama = { family: "llama", context: 2048, vocabularySize: 32_000 } as const;
const bertBase = { family: "bert", context: 512, vocabularySize: 30_522 } as const;
const llamaMore = (heads: number, hidden: number): object => ({ keyValueHeads: heads, hidden, tiedEmbeddings: false });

/** Models as their papers describe them. */
const published: Readonly<Record<string, Published>> = {
  gpt1: { family: "gpt1", layers: 12, heads: 12, width: 768, context: 512, vocabularySize: 40_478 },
  gpt2: { ...gpt2, layers: 12, heads: 12, width: 768 },
  "gpt2-medium": { ...gpt2, layers: 24, heads: 16, width: 1024 },
  "gpt2-large": { ...gpt2, layers: 36, heads: 20, width: 1280 },
  "gpt2-xl": { ...gpt2, layers: 48, heads: 25, width: 1600 },
  "gpt3-125m": { ...gpt3, layers: 12, heads: 12, width: 768 },
  "gpt3-350m": { ...gpt3, layers: 24, heads: 16, width: 1024 },
  "gpt3-760m": { ...gpt3, layers: 24, heads: 16, width: 1536 },
  "gpt3-1.3b": { ...gpt3, layers: 24, heads: 32, width: 2048 },
  "gpt3-2.7b": { ...gpt3, layers: 32, heads: 32, width: 2560 },
  "gpt3-6.7b": { ...gpt3, layers: 32, heads: 32, width: 4096 },
  "gpt3-13b": { ...gpt3, layers: 40, heads: 40, width: 5120 },
  "gpt3-175b": { ...gpt3, layers: 96, heads: 96, width: 12_288 },
  "bert-base": { ...bertBase, layers: 12, heads: 12, width: 768 },
  "bert-large": { ...bertBase, layers: 24, heads: 16, width: 1024 },
  "llama-7b": { ...llama, layers: 32, heads: 32, width: 4096, more: llamaMore(32, 11_008) },
  "llama-13b": { ...llama, layers: 40, heads: 40, width: 5120, more: llamaMore(40, 13_824) },
  "llama-65b": { ...llama, layers: 80, heads: 64, width: 8192, more: llamaMore(64, 22_016) },
};

/** Names that a plan knows. */
export const publishedNames: readonly string[] = Object.keys(published);

/**
 * A published model by name, the model of a folder or a GGUF file, or one of a family's own kind of given sizes.
 *
 * @param weights - How matrices lie that stay as they are; `stored` is float32 for a model without a file of its own.
 * @throws {SettingsError} when it is none of them.
 * @throws {CheckpointError} when the folder is damaged.
 */
export async function planModel(
  name: string,
  overrides: ShapeOverrides,
  weights: WeightChoice = "float32",
): Promise<PlannedModel> {
  const { layers, heads, width, context, vocabularySize } = overrides;
  const shaping = { layers, heads, width, vocabularySize };
  const given = Object.fromEntries(Object.entries({ ...shaping, context }).filter(([, value]) => value !== undefined));
  const known = published[name];
  if (known) {
    const { family: familyName, more, ...own } = known;
    const shape = { ...own, ...given, dropout: 0 };
    if (familyName === "bert") return { name, kind: "encoder", settings: bert.shaped(shape) };
    const family: ModelFamily = families[familyName];
    const isOwnWidth = overrides.width === undefined && overrides.heads === undefined;
    const settings = { ...(family.shaped(shape) as object), ...(isOwnWidth ? more : {}) };
    return { name, kind: "decoder", family, settings, formats: uniformFormats(family, settings, weights) };
  }
  if (!/[/\\.]/.test(name) && !existsSync(name)) {
    const near = nearest(name, publishedNames);
    throw new SettingsError(
      `model: there is none called ${name}${near ? `; did you mean ${near}?` : ""}; known are ${publishedNames.join(", ")}, or give a model folder`,
    );
  }
  const folder = await openModel(name);
  try {
    const family = anyFamilyIn(folder.config, name);
    const planned = plannedModel(name, family, { ...(family.readConfig(folder.config) as object), ...given });
    if (planned.kind !== "decoder") return planned;
    const { settings } = planned;
    const isStored = weights === "stored" && Object.values(shaping).every((value) => value === undefined);
    const formats = isStored
      ? await storedFormats(planned.family, folder)
      : uniformFormats(planned.family, settings, weights);
    return { ...planned, formats };
  } finally {
    await folder.close();
  }
}
