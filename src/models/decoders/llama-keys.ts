import { z } from "zod";
import { SettingsError } from "../../core/errors.ts";
import type { RotaryRule } from "../../nn/rotary-table.ts";
import { ActivationName, activationNamed } from "../activation-names.ts";
import { layerCount, rate, size } from "../config-numbers.ts";
import type { DecoderSettings, LayerAttention } from "../decoder-settings.ts";
import { plainDecoder } from "../decoder-settings.ts";
import type { ModelConfig, ModelShape } from "../family.ts";
import { readRotary, rotaryKeys } from "../rotary-config.ts";

/** Keys of a config.json that most decoders since Llama have, with Llama's defaults. */
export const llamaKeys = {
  vocab_size: size,
  max_position_embeddings: size.default(2048),
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: layerCount,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  hidden_act: ActivationName.default("silu"),
  attention_dropout: rate.default(0),
  rms_norm_eps: z.number().positive().default(1e-6),
  initializer_range: z.number().positive().default(0.02),
  tie_word_embeddings: z.boolean().default(false),
  ...rotaryKeys,
};

/** Values of {@link llamaKeys}. */
export type LlamaKeys = z.output<z.ZodObject<typeof llamaKeys>>;

/** Properties by {@link llamaKeys}; every layer turns by the same rule and sees all before it. */
export function llamaProperties(keys: LlamaKeys, rotaryBase = 10_000): Omit<DecoderSettings, "config"> {
  const headDim = keys.head_dim ?? keys.hidden_size / keys.num_attention_heads;
  const rotary = readRotary(keys, { headDim, context: keys.max_position_embeddings, base: rotaryBase });
  return {
    ...plainDecoder,
    vocabularySize: keys.vocab_size,
    context: keys.max_position_embeddings,
    width: keys.hidden_size,
    layers: keys.num_hidden_layers,
    heads: keys.num_attention_heads,
    keyValueHeads: keys.num_key_value_heads ?? keys.num_attention_heads,
    headDim,
    hidden: keys.intermediate_size,
    activation: activationNamed(keys.hidden_act),
    norm: { kind: "rms", epsilon: keys.rms_norm_eps },
    attention: everyLayer(keys.num_hidden_layers, { window: null, rotary }),
    attentionScale: 1 / Math.sqrt(headDim),
    tiedEmbeddings: keys.tie_word_embeddings,
    dropout: { embedding: 0, attention: keys.attention_dropout, residual: 0 },
    initializerRange: keys.initializer_range,
  };
}

/** The same kind of attention in every layer. */
export function everyLayer(layers: number, attention: LayerAttention): LayerAttention[] {
  return new Array<LayerAttention>(layers).fill(attention);
}

/** Layers that see a window or all, as `layer_types` of a config.json names them. */
export const LayerTypes = z.array(z.enum(["full_attention", "sliding_attention"]));

/** Attention of each layer by its type. */
export function layersByType(
  types: readonly z.output<typeof LayerTypes>[number][],
  kinds: { readonly full: LayerAttention; readonly sliding: LayerAttention },
): LayerAttention[] {
  return types.map((type) => (type === "full_attention" ? kinds.full : kinds.sliding));
}

/** The rule by which a decoder of one rule turns. */
export function rotaryOf({ attention }: Pick<DecoderSettings, "attention">): RotaryRule | null {
  return attention.find(({ rotary }) => rotary !== null)?.rotary ?? null;
}

/**
 * {@link llamaKeys} of a new model: two query heads to each key-value head where their number is even, tied embeddings.
 *
 * @throws {SettingsError} when heads do not divide the width into even heads.
 */
export function freshLlama(shape: ModelShape): ModelConfig {
  const headDim = shape.width / shape.heads;
  if (!Number.isInteger(headDim / 2)) {
    throw new SettingsError(
      `width: rotary positions need heads of an even width, got ${shape.width} / ${shape.heads} heads; ` +
        `try a width of ${2 * shape.heads * Math.ceil(headDim / 2)}`,
    );
  }
  return {
    vocab_size: shape.vocabularySize,
    max_position_embeddings: shape.context,
    hidden_size: shape.width,
    intermediate_size: gatedHidden(4 * shape.width),
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.heads % 2 === 0 ? shape.heads / 2 : shape.heads,
    head_dim: headDim,
    hidden_act: "silu",
    attention_dropout: shape.dropout,
    rms_norm_eps: 1e-5,
    initializer_range: 0.02,
    tie_word_embeddings: true,
    rope_theta: 10_000,
    rope_scaling: null,
  };
}

/** Hidden units with which a gated layer has as many weights as a plain one of `hidden` units: ⅔, in full vectors. */
export function gatedHidden(hidden: number): number {
  return Math.ceil((2 * hidden) / 3 / 16) * 16;
}
