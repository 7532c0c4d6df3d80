import { openModelFolder } from "../../checkpoint/model-folder.ts";
import { SettingsError } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";
import type { BertSettings } from "../../models/bert.ts";
import { bert } from "../../models/bert-families.ts";
import type { AnyFamily, ModelFamily } from "../../models/family.ts";
import { families } from "../../models/index.ts";
import { anyFamilyIn } from "../../models/read-model.ts";
import type { T5Settings } from "../../models/t5.ts";

/** A model as far as a plan needs it: its settings without weights, of a family of decoders, of BERT or of T5. */
export type PlannedModel = { readonly name: string } & (
  | { readonly kind: "decoder"; readonly family: ModelFamily; readonly settings: unknown }
  | { readonly kind: "encoder"; readonly settings: BertSettings }
  | { readonly kind: "encoder-decoder"; readonly settings: T5Settings }
);

/** What a plan needs to know of a model of any family. */
export function plannedModel(name: string, family: AnyFamily, settings: unknown): PlannedModel {
  const { architecture = "decoder" } = family;
  if (architecture === "encoder") return { name, kind: architecture, settings: settings as BertSettings };
  if (architecture === "encoder-decoder") return { name, kind: architecture, settings: settings as T5Settings };
  return { name, kind: architecture, family: family as ModelFamily, settings };
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
 * A published model by name, the model of a folder, or one of a family's own kind of given sizes.
 *
 * @throws {SettingsError} when it is none of them.
 * @throws {CheckpointError} when the folder is damaged.
 */
export async function planModel(name: string, overrides: ShapeOverrides): Promise<PlannedModel> {
  const given = Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined));
  const known = published[name];
  if (known) {
    const { family: familyName, more, ...own } = known;
    const shape = { ...own, ...given, dropout: 0 };
    if (familyName === "bert") return { name, kind: "encoder", settings: bert.shaped(shape) };
    const family: ModelFamily = families[familyName];
    const isOwnWidth = overrides.width === undefined && overrides.heads === undefined;
    const settings = { ...(family.shaped(shape) as object), ...(isOwnWidth ? more : {}) };
    return { name, kind: "decoder", family, settings };
  }
  if (!/[/\\.]/.test(name)) {
    const near = nearest(name, publishedNames);
    throw new SettingsError(
      `model: there is none called ${name}${near ? `; did you mean ${near}?` : ""}; known are ${publishedNames.join(", ")}, or give a model folder`,
    );
  }
  const folder = await openModelFolder(name);
  try {
    const family = anyFamilyIn(folder.config, name);
    return plannedModel(name, family, { ...(family.readConfig(folder.config) as object), ...given });
  } finally {
    await folder.close();
  }
}
