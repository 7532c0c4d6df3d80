import type { z } from "zod";
import { parseConfig } from "./config.ts";
import { TransformerDecoder } from "./decoder.ts";
import type { DecoderNames } from "./decoder-names.ts";
import { decoderTensors } from "./decoder-names.ts";
import type { DecoderSettings } from "./decoder-settings.ts";
import type { ModelConfig, ModelFamily, ModelShape } from "./family.ts";
import { defineFamily } from "./family.ts";

/** A family of {@link TransformerDecoder}s: keys, properties and names, and nothing that computes. */
export interface DecoderFamilyOptions<Keys extends z.ZodObject> {
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
  properties(keys: z.output<Keys>): Omit<DecoderSettings, "config">;
  /** The config.json of a new model, without type and class. */
  fresh(shape: ModelShape): ModelConfig;
  readonly names: DecoderNames;
  /** Names that depend on the properties. */
  readonly namesBy?: (settings: DecoderSettings) => Partial<DecoderNames>;
  /** Tensors in files that carry no information, beside the buffers of rotary positions. */
  readonly ignored?: RegExp;
  /** Before the names of all tensors but the head's, in some files; without, `model.`. */
  readonly optionalPrefix?: string;
}

/** A family of decoders, and how its folders name their tensors. */
export type DecoderFamily = ModelFamily<DecoderSettings, TransformerDecoder> & {
  readonly names: DecoderNames;
};

/** Keys that say how a file's weights are stored, by what it was written or for which tokenizer, not what the model is. */
const passing = [
  ...["torch_dtype", "dtype", "transformers_version", "_name_or_path", "auto_map", "use_cache"],
  ...["bos_token_id", "eos_token_id"],
];

/** A family record from what is particular to it. */
export function defineDecoder<Keys extends z.ZodObject>(options: DecoderFamilyOptions<Keys>): DecoderFamily {
  const { summary, modelType, className, keys, names, ignored } = options;
  const readConfig = (config: ModelConfig): DecoderSettings => {
    const kept = Object.entries(config).filter(([key]) => !passing.includes(key));
    return { ...options.properties(parseConfig(keys, config)), config: Object.fromEntries(kept) };
  };
  const family = defineFamily<DecoderSettings, TransformerDecoder>({
    summary,
    modelType,
    readConfig,
    shaped: (shape) => readConfig({ architectures: [className], model_type: modelType, ...options.fresh(shape) }),
    create: (settings, init) => new TransformerDecoder(settings, init),
    writeConfig: ({ config, vocabularySize, tiedEmbeddings }, { beginOfText, endOfText }) => ({
      ...config,
      architectures: [className],
      vocab_size: vocabularySize,
      tie_word_embeddings: tiedEmbeddings,
      bos_token_id: beginOfText ?? endOfText,
      eos_token_id: endOfText,
    }),
    tensors: (model) => decoderTensors(model, { ...names, ...options.namesBy?.(model.settings) }),
    ownHead: { embedding: `${names.tokenEmbedding}.weight`, head: `${names.head}.weight` },
    optionalPrefix: options.optionalPrefix ?? "model.",
    ignoredTensors: new RegExp(
      [`^${names.head}\\.weight$`, "rotary_emb\\.inv_freq$", ...(ignored ? [ignored.source] : [])].join("|"),
    ),
  });
  return { ...family, names };
}
