import { join } from "node:path";
import { z } from "zod";
import { UnsupportedError } from "../core/errors.ts";
import { parseContents } from "../core/parse-contents.ts";
import type { Json, JsonObject } from "../files/json.ts";
import { parseJsonObject } from "../files/json.ts";
import { readJsonIfThere, readTextIfThere } from "../files/json-file.ts";

/** Ways to make one vector of the states of a text's tokens, by the names that sentence-transformers gives them. */
export const poolingModes = ["cls", "mean", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"] as const;

/** One of {@link poolingModes}. */
export type PoolingMode = (typeof poolingModes)[number];

/** How alike two vectors are. */
export const similarityNames = ["cosine", "dot", "euclidean", "manhattan"] as const;

/** One of {@link similarityNames}. */
export type SimilarityName = (typeof similarityNames)[number];

/** What turns a model's states into embeddings, as the files of a sentence-transformers folder say it. */
export interface SentenceModules {
  /** Their vectors stand one behind the other. */
  readonly pooling: readonly PoolingMode[];
  /** Whether the tokens of a prompt count in pooling. */
  readonly includesPrompt: boolean;
  /** Whether embeddings get a length of 1. */
  readonly normalizes: boolean;
  /** Most tokens of a text, those that frame it included; null: what the model reads. */
  readonly maxLength: number | null;
  readonly lowerCases: boolean;
  /** Texts to put before a text, by what it is for. */
  readonly prompts: Readonly<Record<string, string>>;
  /** Name of the prompt where nobody says otherwise. */
  readonly defaultPrompt: string | null;
  readonly similarity: SimilarityName;
}

/** Modules of a model that nobody says anything about. */
export const plainModules: SentenceModules = {
  pooling: ["mean"],
  includesPrompt: true,
  normalizes: true,
  maxLength: null,
  lowerCases: false,
  prompts: {},
  defaultPrompt: null,
  similarity: "cosine",
};

/** The modules of a folder, and where in it its model is. */
export interface FoundModules {
  readonly modules: SentenceModules;
  readonly modelPath: string;
}

const files = {
  modules: "modules.json",
  pooling: "1_Pooling",
  normalize: "2_Normalize",
  model: "sentence_bert_config.json",
  sentences: "config_sentence_transformers.json",
};

const ModuleList = z.array(z.object({ type: z.string(), path: z.string() })).min(1);
const mode = z.enum(poolingModes);
const flag = z.boolean().default(false);

const PoolingFile = z.object({
  pooling_mode: z.union([mode, z.array(mode).min(1)]).optional(),
  pooling_mode_cls_token: flag,
  pooling_mode_mean_tokens: flag,
  pooling_mode_max_tokens: flag,
  pooling_mode_mean_sqrt_len_tokens: flag,
  pooling_mode_weightedmean_tokens: flag,
  pooling_mode_lasttoken: flag,
  include_prompt: z.boolean().default(true),
});

const ModelFile = z.object({ max_seq_length: z.int().positive().nullish(), do_lower_case: flag });
const TokenizerFile = z.object({ model_max_length: z.number().positive().nullish() });
const SentencesFile = z.object({
  prompts: z.record(z.string(), z.string().nullable()).default({}),
  default_prompt_name: z.string().nullish(),
  similarity_fn_name: z.enum(similarityNames).nullish(),
});

/** A limit on tokens beyond this is no limit: tokenizers without one say 1e30. */
const noLimit = 1e9;

/**
 * The modules of a sentence-transformers folder; null where a folder has no `modules.json`.
 *
 * @throws {CheckpointError} naming file and key, when one is damaged.
 * @throws {UnsupportedError} naming a module that is not a model, its pooling or normalisation.
 */
export async function readSentenceModules(folder: string): Promise<FoundModules | null> {
  const list = await readModuleList(join(folder, files.modules));
  if (list === null) return null;
  const [model, pooling, ...rest] = list.map(({ type, path }) => ({ path, kind: type.replace(/^.*\./, "") }));
  const other = rest.find(({ kind }) => kind !== "Normalize");
  const odd = model?.kind !== "Transformer" ? model : pooling && pooling.kind !== "Pooling" ? pooling : other;
  if (odd || !model || !pooling) {
    throw new UnsupportedError(
      `${join(folder, files.modules)}: ${odd ? `has a module ${odd.kind}` : "has no module Pooling"}; only a Transformer with ` +
        "Pooling, and Normalize behind it, is read; choose another model",
    );
  }
  const modelPath = join(folder, model.path);
  const { pooling_mode: named, ...flags } = await readChecked(PoolingFile, join(folder, pooling.path, "config.json"));
  const own = await readChecked(ModelFile, join(modelPath, files.model));
  const { model_max_length: ofTokenizer } = await readChecked(TokenizerFile, join(modelPath, "tokenizer_config.json"));
  const sentences = await readChecked(SentencesFile, join(folder, files.sentences));
  const limit = own.max_seq_length ?? ofTokenizer ?? noLimit;
  const prompts = Object.entries(sentences.prompts).map(([name, prompt]) => [name, prompt ?? ""]);
  const modules = {
    pooling: named === undefined ? oldModes(flags) : [named].flat(),
    includesPrompt: flags.include_prompt,
    normalizes: rest.length > 0,
    maxLength: limit < noLimit ? limit : null,
    lowerCases: own.do_lower_case,
    prompts: Object.fromEntries(prompts),
    defaultPrompt: sentences.default_prompt_name ?? null,
    similarity: sentences.similarity_fn_name ?? "cosine",
  };
  return { modules, modelPath };
}

/** Every mode had a flag of its own once; the order is that in which their vectors stand. */
function oldModes(flags: Omit<z.output<typeof PoolingFile>, "pooling_mode">): readonly PoolingMode[] {
  const all: readonly (readonly [PoolingMode, boolean])[] = [
    ["cls", flags.pooling_mode_cls_token],
    ["max", flags.pooling_mode_max_tokens],
    ["mean", flags.pooling_mode_mean_tokens],
    ["mean_sqrt_len_tokens", flags.pooling_mode_mean_sqrt_len_tokens],
    ["weightedmean", flags.pooling_mode_weightedmean_tokens],
    ["lasttoken", flags.pooling_mode_lasttoken],
  ];
  const chosen = all.filter(([, isOn]) => isOn).map(([name]) => name);
  return chosen.length > 0 ? chosen : ["mean"];
}

async function readModuleList(path: string): Promise<z.infer<typeof ModuleList> | null> {
  const text = await readTextIfThere(path);
  if (text === null) return null;
  // The file holds a list, and readers of JSON files here give objects.
  const { modules } = parseJsonObject(path, `{"modules":${text}}`);
  return parseContents(path, ModuleList, modules);
}

/** A file of keys that all have defaults; where it is not there, those. */
async function readChecked<Schema extends z.ZodType>(schema: Schema, path: string): Promise<z.infer<Schema>> {
  return parseContents(path, schema, (await readJsonIfThere(path)) ?? {});
}

/** The files of a folder that sentence-transformers opens, beside those of model and tokenizer. `width` is the model's. */
export function sentenceFiles(modules: SentenceModules, width: number): Record<string, string> {
  const { normalizes } = modules;
  const module = (idx: number, path: string, kind: string): JsonObject => ({
    ...{ idx, name: String(idx), path },
    type: `sentence_transformers.models.${kind}`,
  });
  const list = [module(0, "", "Transformer"), module(1, files.pooling, "Pooling")];
  if (normalizes) list.push(module(2, files.normalize, "Normalize"));
  const sentences = {
    prompts: modules.prompts,
    default_prompt_name: modules.defaultPrompt,
    similarity_fn_name: modules.similarity,
  };
  const text = (value: Json): string => `${JSON.stringify(value, null, 2)}\n`;
  return {
    [files.modules]: text(list),
    [`${files.pooling}/config.json`]: text(poolingFile(modules, width)),
    [files.model]: text({ max_seq_length: modules.maxLength, do_lower_case: modules.lowerCases }),
    [files.sentences]: text(sentences),
    // Its module has no settings; programs that unpack archives lose empty folders.
    ...(normalizes && { [`${files.normalize}/config.json`]: text({}) }),
  };
}

/** Older releases know the flags alone, which do not say in which order several vectors stand. */
function poolingFile({ pooling, includesPrompt }: SentenceModules, width: number): JsonObject {
  const is = (name: PoolingMode): boolean => pooling.includes(name);
  if (pooling.length > 1) return { embedding_dimension: width, pooling_mode: pooling, include_prompt: includesPrompt };
  return {
    word_embedding_dimension: width,
    pooling_mode_cls_token: is("cls"),
    pooling_mode_mean_tokens: is("mean"),
    pooling_mode_max_tokens: is("max"),
    pooling_mode_mean_sqrt_len_tokens: is("mean_sqrt_len_tokens"),
    pooling_mode_weightedmean_tokens: is("weightedmean"),
    pooling_mode_lasttoken: is("lasttoken"),
    include_prompt: includesPrompt,
  };
}
