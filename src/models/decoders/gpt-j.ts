import { z } from "zod";
import { ActivationName, activationNamed } from "../activation-names.ts";
import { layerCount, rate, size } from "../config-numbers.ts";
import { defineDecoder } from "../decoder-family.ts";
import { everyLayer } from "./llama-keys.ts";
import { olderProperties } from "./older-keys.ts";

/** GPT-J; folders of `model_type` gptj. */
export const gptJ = defineDecoder({
  summary: "GPT-J: parallel sub-layers with one layer norm, part of each head turning in neighbouring pairs",
  modelType: "gptj",
  className: "GPTJForCausalLM",
  keys: z.object({
    vocab_size: size,
    n_positions: size.default(2048),
    n_embd: size,
    n_layer: layerCount,
    n_head: size,
    n_inner: size.nullish(),
    rotary_dim: size.nullable().default(64),
    activation_function: ActivationName.default("gelu_new"),
    resid_pdrop: rate.default(0),
    embd_pdrop: rate.default(0),
    attn_pdrop: rate.default(0),
    layer_norm_epsilon: z.number().positive().default(1e-5),
    initializer_range: z.number().positive().default(0.02),
    tie_word_embeddings: z.boolean().default(false),
    scale_attn_weights: z.literal(true).default(true),
  }),
  properties(keys) {
    const headDim = keys.n_embd / keys.n_head;
    const rotary = { base: 10_000, turned: keys.rotary_dim ?? headDim, scaling: null };
    return {
      ...olderProperties({
        vocabularySize: keys.vocab_size,
        context: keys.n_positions,
        width: keys.n_embd,
        layers: keys.n_layer,
        heads: keys.n_head,
        hidden: keys.n_inner ?? 4 * keys.n_embd,
        activation: activationNamed(keys.activation_function),
        normEpsilon: keys.layer_norm_epsilon,
        tiedEmbeddings: keys.tie_word_embeddings,
        dropout: { embedding: keys.embd_pdrop, attention: keys.attn_pdrop, residual: keys.resid_pdrop },
        initializerRange: keys.initializer_range,
      }),
      parallel: true,
      sharedNorm: true,
      bias: { qkv: false, projection: false, mlp: true, head: true },
      attention: everyLayer(keys.n_layer, { window: null, rotary }),
    };
  },
  fresh: (shape) => ({
    vocab_size: shape.vocabularySize,
    n_positions: shape.context,
    n_embd: shape.width,
    n_layer: shape.layers,
    n_head: shape.heads,
    n_inner: null,
    rotary_dim: shape.width / shape.heads,
    activation_function: "gelu_new",
    resid_pdrop: shape.dropout,
    embd_pdrop: shape.dropout,
    attn_pdrop: shape.dropout,
    tie_word_embeddings: false,
  }),
  names: {
    tokenEmbedding: "transformer.wte",
    finalNorm: "transformer.ln_f",
    head: "lm_head",
    blocks: "transformer.h.",
    attentionNorm: "ln_1",
    qkv: ["attn.q_proj", "attn.k_proj", "attn.v_proj"],
    projection: "attn.out_proj",
    expansion: "mlp.fc_in",
    mlpProjection: "mlp.fc_out",
    pairsAreNeighbours: true,
  },
  optionalPrefix: "transformer.",
  ignored: /attn\.(masked_)?bias$|attn\.embed_positions$/,
});
