import { z } from "zod";
import type { Activation } from "../backend/kernels.ts";
import { SettingsError } from "../core/errors.ts";
import type { Parameter } from "../nn/parameters.ts";
import { parameters } from "../nn/parameters.ts";
import type { RotaryScaling } from "../nn/rotary-table.ts";
import { ActivationName, activationNamed, nameOfActivation } from "./activation-names.ts";
import type { ModelShape, SpecialIds, TensorBinding } from "./family.ts";
import { packedTensors } from "./packed-tensors.ts";
import { readRotary, rotaryKeys, writeRotary } from "./rotary-config.ts";

/** What decoders with rotary positions have in common, whatever their feed-forward layers. */
export interface RotaryDecoderSettings {
  readonly vocabularySize: number;
  readonly context: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headDim: number;
  readonly hidden: number;
  readonly activation: Activation;
  readonly attentionDropout: number;
  readonly normEpsilon: number;
  readonly tiedEmbeddings: boolean;
  readonly initializerRange: number;
  /** As in `LlamaSettings`. */
  readonly rotaryBase: number;
  readonly rotaryScaling: RotaryScaling | null;
}

const size = z.int().positive();

/** Keys of a config.json that such decoders share, with the defaults of Llama. */
export const rotaryDecoderKeys = {
  vocab_size: size,
  max_position_embeddings: size.default(2048),
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  hidden_act: ActivationName.default("silu"),
  attention_dropout: z.number().min(0).lt(1).default(0),
  rms_norm_eps: z.number().positive().default(1e-6),
  initializer_range: z.number().positive().default(0.02),
  tie_word_embeddings: z.boolean().default(false),
  ...rotaryKeys,
};

type Keys = z.infer<z.ZodObject<typeof rotaryDecoderKeys>>;

/** The settings that a config.json holds; `rotaryBase` is the family's where the file has none. */
export function readRotaryDecoder(keys: Keys, rotaryBase: number): RotaryDecoderSettings {
  const { base, scaling } = readRotary(keys, rotaryBase);
  return {
    vocabularySize: keys.vocab_size,
    context: keys.max_position_embeddings,
    width: keys.hidden_size,
    layers: keys.num_hidden_layers,
    heads: keys.num_attention_heads,
    keyValueHeads: keys.num_key_value_heads ?? keys.num_attention_heads,
    headDim: keys.head_dim ?? keys.hidden_size / keys.num_attention_heads,
    hidden: keys.intermediate_size,
    activation: activationNamed(keys.hidden_act),
    attentionDropout: keys.attention_dropout,
    normEpsilon: keys.rms_norm_eps,
    tiedEmbeddings: keys.tie_word_embeddings,
    initializerRange: keys.initializer_range,
    rotaryBase: base,
    rotaryScaling: scaling,
  };
}

/** The settings as keys of a config.json. */
export function writeRotaryDecoder(
  settings: RotaryDecoderSettings,
  { beginOfText, endOfText }: SpecialIds,
): Record<string, unknown> {
  return {
    vocab_size: settings.vocabularySize,
    max_position_embeddings: settings.context,
    hidden_size: settings.width,
    intermediate_size: settings.hidden,
    num_hidden_layers: settings.layers,
    num_attention_heads: settings.heads,
    num_key_value_heads: settings.keyValueHeads,
    head_dim: settings.headDim,
    hidden_act: nameOfActivation(settings.activation),
    attention_dropout: settings.attentionDropout,
    rms_norm_eps: settings.normEpsilon,
    initializer_range: settings.initializerRange,
    tie_word_embeddings: settings.tiedEmbeddings,
    ...writeRotary(settings.rotaryBase, settings.rotaryScaling),
    bos_token_id: beginOfText ?? endOfText,
    eos_token_id: endOfText,
  };
}

/** How the names in a folder of such a decoder may differ from ours. */
export const rotaryDecoderNames = {
  optionalPrefix: "model.",
  ignoredTensors: /^(lm_head\.weight|.*rotary_emb\.inv_freq)$/,
  ownHead: { embedding: "model.embed_tokens.weight", head: "lm_head.weight" },
} as const;

/**
 * A decoder of the given shape: two query heads to each key-value head where their number is even, tied embeddings.
 *
 * @throws {SettingsError} when heads do not divide the width into even heads.
 */
export function shapedRotaryDecoder(shape: ModelShape): Omit<RotaryDecoderSettings, "hidden"> {
  const { dropout, ...sizes } = shape;
  const headDim = shape.width / shape.heads;
  if (!Number.isInteger(headDim / 2)) {
    throw new SettingsError(
      `width: rotary positions need heads of an even width, got ${shape.width} / ${shape.heads} heads; ` +
        `try a width of ${2 * shape.heads * Math.ceil(headDim / 2)}`,
    );
  }
  return {
    ...sizes,
    headDim,
    keyValueHeads: shape.heads % 2 === 0 ? shape.heads / 2 : shape.heads,
    activation: "silu",
    attentionDropout: dropout,
    normEpsilon: 1e-5,
    tiedEmbeddings: true,
    initializerRange: 0.02,
    rotaryBase: 10_000,
    rotaryScaling: null,
  };
}

/** Hidden units with which a gated layer has as many weights as a plain one of `hidden` units: ⅔, in full vectors. */
export function gatedHidden(hidden: number): number {
  return Math.ceil((2 * hidden) / 3 / 16) * 16;
}

/**
 * Every parameter as its folder names it.
 *
 * @param ownTensors - The tensors of a parameter that is the family's own, or null for one that all such decoders have.
 */
export function rotaryDecoderTensors(
  model: { readonly settings: RotaryDecoderSettings },
  ownTensors: (path: string, parameter: Parameter) => TensorBinding[] | null,
): TensorBinding[] {
  return [...parameters(model)].flatMap(
    ([path, parameter]) => ownTensors(path, parameter) ?? sharedTensors(path, parameter, model.settings),
  );
}

function sharedTensors(
  path: string,
  parameter: Parameter,
  { heads, keyValueHeads, headDim }: RotaryDecoderSettings,
): TensorBinding[] {
  const name = path
    .replace("tokenEmbedding", "model.embed_tokens.weight")
    .replace("finalNorm.gain", "model.norm.weight")
    .replace(/^head$/, "lm_head.weight")
    .replace("blocks.", "model.layers.")
    .replace("attentionNorm.gain", "input_layernorm.weight")
    .replace("mlpNorm.gain", "post_attention_layernorm.weight")
    .replace("attention.projection", "self_attn.o_proj");
  if (!name.endsWith("attention.qkv.weight")) return [{ name, parameter, transposed: false }];
  const part = (letter: string): string => name.replace("attention.qkv", `self_attn.${letter}_proj`);
  return packedTensors(parameter, [
    [part("q"), heads * headDim],
    [part("k"), keyValueHeads * headDim],
    [part("v"), keyValueHeads * headDim],
  ]);
}
