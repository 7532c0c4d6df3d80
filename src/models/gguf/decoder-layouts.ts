import type { DecoderFamily } from "../decoder-family.ts";
import type { DecoderNames } from "../decoder-names.ts";
import type { DecoderSettings } from "../decoder-settings.ts";
import { decoders } from "../decoders/index.ts";
import { rotaryOf } from "../decoders/llama-keys.ts";
import type { ModelConfig } from "../family.ts";
import {
  alwaysWindow,
  baseOfWindows,
  counts,
  epsilon,
  expertCounts,
  headWidth,
  period,
  real,
  rotaryBase,
  sizes,
  turnedShare,
  turnedWhole,
  window,
} from "./decoder-keys.ts";
import { decoderTensorNames } from "./decoder-tensors.ts";
import type { GgufKey } from "./keys.ts";
import type { GgufLayout } from "./layout.ts";

/** What is particular to an architecture of llama.cpp; the rest follows from the names of a family's folders. */
interface DecoderLayout extends Partial<Pick<GgufLayout, "isOf" | "told" | "scalings" | "output">> {
  readonly architecture: string;
  readonly keys: readonly GgufKey<DecoderSettings>[];
  readonly fixed: ModelConfig;
  /** Whether files keep rotary pairs together where folders have them half a head apart. */
  readonly pairsTogether?: boolean;
  /** Names of modules in this variant of the family's folders. */
  readonly names?: Partial<DecoderNames>;
  /** Names of modules in files, where they are not the usual. */
  readonly inFile?: Partial<Record<keyof DecoderNames, string>>;
  /** In what llama.cpp computes otherwise. */
  readonly differs?: (settings: DecoderSettings) => string | null;
}

function layoutOf(family: DecoderFamily, own: DecoderLayout): GgufLayout {
  const { pairsTogether = false, names, inFile = {}, ...layout } = own;
  return {
    modelType: family.modelType,
    rotary: mainRotary,
    scalings: ["linear", "yarn"],
    output: "optional",
    ...layout,
    tensors: decoderTensorNames({ ...family.names, ...names }, { pairsTogether, inFile }),
  };
}

/** The rule of the layers that see all, where layers turn by different rules. */
function mainRotary(settings: DecoderSettings): ReturnType<typeof rotaryOf> {
  return rotaryOf({ attention: settings.attention.filter((layer) => layer.window === null) }) ?? rotaryOf(settings);
}

const seesAll = ({ attention, context }: DecoderSettings): string | null => {
  const narrow = attention.find((layer) => layer.window !== null && layer.window < context);
  return narrow ? `llama.cpp lets every token see all before it, this model the last ${narrow.window}` : null;
};
const bendsGelu = (): string =>
  "llama.cpp computes GELU by its approximation with tanh, this model by the error function";

const hasWindow: GgufLayout["isOf"] = ({ number }) => (number("attention.sliding_window") ?? 0) > 0;
const hasExperts: GgufLayout["isOf"] = ({ number }) => (number("expert_count") ?? 0) > 0;

const llamaSizes = sizes({
  ...{ context: "max_position_embeddings", width: "hidden_size", layers: "num_hidden_layers" },
  ...{ hidden: "intermediate_size", heads: "num_attention_heads" },
});
const keyValueHeads = counts(
  "attention.head_count_kv",
  (model) => model.keyValueHeads,
  "num_key_value_heads",
  (config) => Number(config.num_attention_heads),
);
const llamaKeys = [...llamaSizes, keyValueHeads, ...headWidth, turnedWhole, rotaryBase("rope_theta")];
/** Of models whose heads are as wide together as the model is. */
const squareKeys = [...llamaSizes, keyValueHeads, turnedShare("partial_rotary_factor", 1), rotaryBase("rope_theta")];
const rms = epsilon("rms", "rms_norm_eps");
const layerNorm = epsilon("layer", "layer_norm_eps");

type Told = NonNullable<GgufLayout["told"]>;
const biases: Told = (_, has) => ({
  attention_bias: has("blk.0.attn_q.bias"),
  mlp_bias: has("blk.0.ffn_up.bias"),
});

/** What scores were divided by, which files do not say: the width of a head, but in the largest model of its kind. */
const scoreScale =
  (layersOfLargest: number): Told =>
  ({ num_hidden_layers: layers, hidden_size: width, num_attention_heads: heads, head_dim: headDim }) => ({
    query_pre_attn_scalar: layers === layersOfLargest ? Number(width) / Number(heads) : headDim,
  });

const gemmaFixed = { hidden_activation: "gelu_pytorch_tanh", attention_bias: false };

const falcon = {
  architecture: "falcon",
  keys: [
    ...sizes({
      ...{ context: "max_position_embeddings", width: "hidden_size", layers: "num_hidden_layers" },
      ...{ hidden: "ffn_hidden_size", heads: "num_attention_heads" },
    }),
    rotaryBase("rope_theta"),
    turnedShare("partial_rotary_factor", 1),
    epsilon("layer", "layer_norm_epsilon"),
  ],
  fixed: { activation: "gelu", alibi: false, bias: false, parallel_attn: true },
  differs: bendsGelu,
} as const;

/** Heads of keys and values of a Falcon, whose folders say their number in one of three ways. */
const falconHeads: GgufKey<DecoderSettings> = {
  gguf: "attention.head_count_kv",
  type: "uint32",
  of: (model) => model.keyValueHeads,
  toConfig: (count, { num_attention_heads: heads }) => ({
    num_kv_heads: count,
    multi_query: count === 1,
    new_decoder_architecture: count !== 1 && count !== heads,
  }),
  otherwise: ({ num_attention_heads: heads }) => Number(heads),
};

/** How llama.cpp holds each family that it has; those of one architecture in the order in which they are asked. */
export const decoderLayouts: readonly GgufLayout[] = [
  layoutOf(decoders.mixtral, {
    architecture: "llama",
    isOf: hasExperts,
    keys: [...llamaKeys, rms, window, ...expertCounts("num_local_experts")],
    fixed: { hidden_act: "silu", sliding_window: null },
    pairsTogether: true,
    scalings: ["linear", "yarn", "llama3", "longrope"],
    differs: seesAll,
  }),
  layoutOf(decoders.mistral, {
    architecture: "llama",
    isOf: hasWindow,
    keys: [...llamaKeys, rms, window],
    fixed: { hidden_act: "silu", sliding_window: null },
    pairsTogether: true,
    scalings: ["linear", "yarn", "llama3", "longrope"],
    differs: seesAll,
  }),
  layoutOf(decoders.llama, {
    architecture: "llama",
    keys: [...llamaKeys, rms],
    fixed: { hidden_act: "silu" },
    told: biases,
    pairsTogether: true,
    scalings: ["linear", "yarn", "llama3", "longrope"],
  }),
  layoutOf(decoders.qwen2, {
    architecture: "qwen2",
    keys: [...squareKeys, rms],
    fixed: { hidden_act: "silu", use_sliding_window: false },
  }),
  layoutOf(decoders.qwen3, {
    architecture: "qwen3",
    keys: [...llamaKeys, rms],
    fixed: { hidden_act: "silu", attention_bias: false, use_sliding_window: false },
  }),
  layoutOf(decoders["qwen3-moe"], {
    architecture: "qwen3moe",
    isOf: hasExperts,
    keys: [
      ...[...llamaKeys, rms, ...expertCounts("num_experts")],
      counts("expert_feed_forward_length", (model) => model.expertRule?.hidden ?? null, "moe_intermediate_size"),
    ],
    fixed: {
      ...{ hidden_act: "silu", attention_bias: false, use_sliding_window: false },
      ...{ norm_topk_prob: true, decoder_sparse_step: 1, mlp_only_layers: [] },
    },
  }),
  layoutOf(decoders.gemma, {
    architecture: "gemma",
    keys: [...llamaKeys, rms],
    fixed: { ...gemmaFixed, hidden_act: "gelu_pytorch_tanh" },
    output: "none",
  }),
  layoutOf(decoders.gemma2, {
    architecture: "gemma2",
    keys: [
      ...[...llamaKeys, rms, alwaysWindow, period(2)],
      real(
        "attn_logit_softcapping",
        (model) => model.caps.attention,
        "attn_logit_softcapping",
        () => 50,
      ),
      real(
        "final_logit_softcapping",
        (model) => model.caps.logits,
        "final_logit_softcapping",
        () => 30,
      ),
    ],
    fixed: gemmaFixed,
    told: scoreScale(46),
    output: "none",
  }),
  layoutOf(decoders.gemma3, {
    architecture: "gemma3",
    keys: [...llamaKeys, rms, alwaysWindow, period(6), baseOfWindows("rope_local_base_freq")],
    fixed: gemmaFixed,
    told: scoreScale(62),
    scalings: ["linear"],
    output: "none",
  }),
  layoutOf(decoders.smollm3, {
    architecture: "smollm3",
    keys: [...llamaKeys, rms],
    fixed: { hidden_act: "silu", attention_bias: false, mlp_bias: false, no_rope_layer_interval: 4 },
    pairsTogether: true,
  }),
  layoutOf(decoders.phi, {
    architecture: "phi2",
    keys: [...llamaSizes, keyValueHeads, turnedShare("partial_rotary_factor"), rotaryBase("rope_theta"), layerNorm],
    fixed: { hidden_act: "gelu_new", qk_layernorm: false },
    output: "required",
  }),
  layoutOf(decoders.phi3, {
    architecture: "phi3",
    keys: [...squareKeys, rms, window],
    fixed: { hidden_act: "silu", sliding_window: null },
    scalings: ["linear", "yarn", "longrope"],
    differs: seesAll,
  }),
  layoutOf(decoders["gpt-neox"], {
    architecture: "gptneox",
    keys: [
      ...[...llamaSizes, turnedShare("rotary_pct"), rotaryBase("rotary_emb_base"), layerNorm],
      {
        ...{ gguf: "use_parallel_residual", type: "bool", of: (model) => model.parallel, otherwise: () => true },
        toConfig: (value) => ({ use_parallel_residual: value }),
      },
    ],
    fixed: { hidden_act: "gelu", attention_bias: true },
    output: "required",
    differs: bendsGelu,
  }),
  layoutOf(decoders.bloom, {
    architecture: "bloom",
    keys: [
      ...sizes({
        ...{ context: "seq_length", width: "hidden_size", layers: "n_layer" },
        ...{ hidden: null, heads: "n_head" },
      }),
      epsilon("layer", "layer_norm_epsilon"),
    ],
    fixed: {},
  }),
  layoutOf(decoders.falcon, {
    ...falcon,
    isOf: ({ has }) => has("blk.0.attn_norm_2.weight"),
    keys: [...falcon.keys, counts("attention.head_count_kv", (model) => model.keyValueHeads, "num_kv_heads")],
    fixed: { ...falcon.fixed, new_decoder_architecture: true, num_ln_in_parallel_attn: 2 },
    names: { attentionNorm: "ln_attn", mlpNorm: "ln_mlp" },
    inFile: { attentionNorm: "attn_norm_2", mlpNorm: "attn_norm" },
  }),
  layoutOf(decoders.falcon, {
    ...falcon,
    keys: [...falcon.keys, falconHeads],
    fixed: { ...falcon.fixed, num_ln_in_parallel_attn: 1 },
    names: { attentionNorm: "input_layernorm" },
  }),
  layoutOf(decoders.olmo, {
    architecture: "olmo",
    keys: [
      ...[...squareKeys, epsilon("layer", null)],
      real(
        "attention.clamp_kqv",
        () => null,
        "clip_qkv",
        () => null,
      ),
    ],
    fixed: { hidden_act: "silu", attention_bias: false, clip_qkv: null },
    pairsTogether: true,
  }),
  layoutOf(decoders.olmo3, {
    architecture: "olmo2",
    isOf: hasWindow,
    keys: [...squareKeys, rms, window, period(4)],
    fixed: { hidden_act: "silu", attention_bias: false },
    output: "required",
  }),
  layoutOf(decoders.olmo2, {
    architecture: "olmo2",
    keys: [...squareKeys, rms],
    fixed: { hidden_act: "silu", attention_bias: false },
    output: "required",
  }),
  layoutOf(decoders.stablelm, {
    architecture: "stablelm",
    keys: [...llamaSizes, keyValueHeads, turnedShare("partial_rotary_factor"), rotaryBase("rope_theta"), layerNorm],
    fixed: { hidden_act: "silu", qk_layernorm: false },
    told: (_, has) => ({
      use_qkv_bias: has("blk.0.attn_q.bias"),
      use_parallel_residual: !has("blk.0.ffn_norm.weight"),
    }),
    output: "required",
  }),
  layoutOf(decoders.starcoder2, {
    architecture: "starcoder2",
    keys: [...squareKeys, epsilon("layer", "norm_epsilon"), window],
    fixed: { hidden_act: "gelu_pytorch_tanh", use_bias: true, sliding_window: null },
    differs: seesAll,
  }),
  layoutOf(decoders.cohere, {
    architecture: "command-r",
    keys: [...squareKeys, layerNorm, real("logit_scale", (model) => model.scales.logits, "logit_scale")],
    fixed: { hidden_act: "silu", attention_bias: false, use_qk_norm: false },
    output: "none",
  }),
  layoutOf(decoders.cohere2, {
    architecture: "cohere2",
    keys: [
      ...[...squareKeys, layerNorm, alwaysWindow, period(4)],
      real("logit_scale", (model) => model.scales.logits, "logit_scale"),
    ],
    fixed: { hidden_act: "silu", attention_bias: false },
    told: ({ hidden_size: width, num_attention_heads: heads }) => ({ head_dim: Number(width) / Number(heads) }),
    output: "none",
  }),
  layoutOf(decoders.granite, {
    architecture: "granite",
    keys: [
      ...[...llamaKeys, rms],
      real(
        "embedding_scale",
        (model) => model.scales.embedding,
        "embedding_multiplier",
        () => 1,
      ),
      real(
        "residual_scale",
        (model) => model.scales.residual,
        "residual_multiplier",
        () => 1,
      ),
      real(
        "attention.scale",
        (model) => model.attentionScale,
        "attention_multiplier",
        (config) => Number(config.head_dim) ** -0.5,
      ),
      real("logit_scale", (model) => 1 / model.scales.logits, "logits_scaling"),
    ],
    fixed: { hidden_act: "silu" },
    told: biases,
    pairsTogether: true,
    scalings: ["linear", "yarn", "llama3", "longrope"],
  }),
];
