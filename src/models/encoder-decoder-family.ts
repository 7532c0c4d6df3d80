import { z } from "zod";
import type { Parameter } from "../nn/parameters.ts";
import { parameters } from "../nn/parameters.ts";
import { parseConfig } from "./config.ts";
import { tokenId } from "./config-numbers.ts";
import { EncoderDecoder } from "./encoder-decoder.ts";
import type { EncoderDecoderSettings, StackDeviations } from "./encoder-decoder-settings.ts";
import type { ModelConfig, ModelFamily, ModelShape, OwnHead, TensorBinding } from "./family.ts";
import { defineFamily } from "./family.ts";
import { packedTensors } from "./packed-tensors.ts";

/** Where a family's files keep what an {@link EncoderDecoder} has. */
export interface EncoderDecoderNames {
  /** Field paths of the model and what files call them, applied in order. */
  readonly renamings: readonly (readonly [RegExp, string])[];
  /** What queries, keys and values are called in the place of `qkv`. */
  readonly qkv: readonly [query: string, key: string, value: string];
  /** What gate and value are called in the place of `gateAndValue`. */
  readonly gateAndValue?: readonly [gate: string, value: string];
  readonly ownHead: OwnHead;
  /** Before all names in some files. */
  readonly optionalPrefix: string;
  /** Tensors in files that carry no information. */
  readonly ignored: RegExp;
  /** As in {@link ModelFamily}. */
  readonly copies?: NonNullable<ModelFamily["copies"]>;
  /** Tensors that files may lack. */
  readonly optionalParts?: RegExp;
  readonly spellings?: readonly (readonly [RegExp, string])[];
}

/** A family of {@link EncoderDecoder}s: keys, properties and names, and nothing that computes. */
export interface EncoderDecoderOptions<Keys extends z.ZodObject> {
  /** One line for help texts. */
  readonly summary: string;
  /** `model_type` of config.json. */
  readonly modelType: string;
  /** The class in `architectures` of config.json. */
  readonly className: string;
  /**
   * Keys of config.json that the mathematics depends on, with the defaults of `transformers`. A value that is not
   * implemented is refused here, by its key.
   */
  readonly keys: Keys;
  properties(keys: z.output<Keys>): Omit<EncoderDecoderSettings, "config">;
  /** The config.json of a new model, without type and class. */
  fresh(shape: ModelShape): ModelConfig;
  /** How a new model's weights begin; without, as the config says. */
  readonly freshDeviations?: (settings: EncoderDecoderSettings) => StackDeviations;
  /** Keys that follow from settings that may have changed, beside those that all families have. */
  readonly written?: (settings: EncoderDecoderSettings) => ModelConfig;
  readonly names: EncoderDecoderNames;
}

/** A family of encoder-decoders. */
export type EncoderDecoderFamily = ModelFamily<EncoderDecoderSettings, EncoderDecoder>;

/** Keys that say how a file's weights are stored or by what it was written, not what the model is. */
const passing = ["torch_dtype", "dtype", "transformers_version", "_name_or_path", "_num_labels", "use_cache"];

/** A key that names one id; of several, the first is the one that is learned. */
export const firstId = z
  .union([tokenId, z.array(tokenId).transform(([first = null]) => first)], { error: "must be an id or a list of ids" })
  .nullable();

/** Keys that say which ids play a part in writing, which folders keep in `generation_config.json`; `bad_words_ids` may hold longer sequences, which are left to others. */
export const writingKeys = {
  forced_bos_token_id: tokenId.nullish().transform((value) => value ?? null),
  bad_words_ids: z
    .array(z.array(tokenId))
    .nullish()
    .transform((lists) => (lists ?? []).flatMap((list) => (list.length === 1 ? list : []))),
} as const;

/** A family record from what is particular to it. */
export function defineEncoderDecoder<Keys extends z.ZodObject>(
  options: EncoderDecoderOptions<Keys>,
): EncoderDecoderFamily {
  const { summary, modelType, className, keys, names } = options;
  const readConfig = (config: ModelConfig): EncoderDecoderSettings => {
    const kept = Object.entries(config).filter(([key]) => !passing.includes(key));
    return { ...options.properties(parseConfig(keys, config)), config: Object.fromEntries(kept) };
  };
  const writeConfig = ({ config, ...settings }: EncoderDecoderSettings): ModelConfig => ({
    ...Object.fromEntries(Object.entries(config).filter(([key]) => !Object.hasOwn(writingKeys, key))),
    architectures: [className],
    vocab_size: settings.vocabularySize,
    is_encoder_decoder: true,
    tie_word_embeddings: settings.tiedEmbeddings,
    pad_token_id: settings.padding,
    eos_token_id: settings.endOfText,
    decoder_start_token_id: settings.decoderStart,
    ...options.written?.({ config, ...settings }),
  });
  return defineFamily<EncoderDecoderSettings, EncoderDecoder>({
    summary,
    modelType,
    architecture: "encoder-decoder",
    readConfig,
    shaped(shape) {
      const settings = readConfig(writeConfig(readConfig({ model_type: modelType, ...options.fresh(shape) })));
      return { ...settings, deviations: options.freshDeviations?.(settings) ?? settings.deviations };
    },
    create: (settings, init) => new EncoderDecoder(settings, init),
    writeConfig,
    generationKeys: ["decoder_start_token_id", "forced_eos_token_id", ...Object.keys(writingKeys)],
    generationConfig: (settings) => ({
      decoder_start_token_id: settings.decoderStart,
      pad_token_id: settings.padding,
      ...(settings.endOfText !== null && { eos_token_id: settings.endOfText }),
      ...(settings.firstToken !== null && { forced_bos_token_id: settings.firstToken }),
      ...(settings.lastToken !== null && { forced_eos_token_id: settings.lastToken }),
      ...(settings.neverWritten.length > 0 && { bad_words_ids: settings.neverWritten.map((id) => [id]) }),
    }),
    tensors: (model) => [...parameters(model)].flatMap((entry) => bindings(entry, model.settings, names)),
    ownHead: names.ownHead,
    optionalPrefix: names.optionalPrefix,
    ignoredTensors: names.ignored,
    ...(names.copies && { copies: names.copies }),
    ...(names.optionalParts && { optionalParts: names.optionalParts }),
    ...(names.spellings && { spellings: names.spellings }),
  });
}

function bindings(
  [path, parameter]: readonly [string, Parameter],
  { heads, headDim, hidden }: EncoderDecoderSettings,
  { renamings, qkv, gateAndValue = ["", ""] }: EncoderDecoderNames,
): TensorBinding[] {
  const name = renamings.reduce((text, [from, to]) => text.replace(from, to), path);
  const parts = (packed: string, inFile: readonly string[], rows: number): TensorBinding[] =>
    packedTensors(
      parameter,
      inFile.map((part) => [name.replace(packed, part), rows]),
    );
  if (/\.qkv\.(weight|bias)$/.test(name)) return parts("qkv", qkv, heads * headDim);
  if (/\.gateAndValue\.(weight|bias)$/.test(name)) return parts("gateAndValue", gateAndValue, hidden);
  // Others keep the constant beside the logits as one row.
  const own = path === "outputBias" ? parameter.window(0, [1, parameter.size]) : parameter;
  return [{ name, parameter: own, transposed: false }];
}
