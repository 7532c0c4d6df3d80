import type { GgufNumberType } from "../../checkpoint/gguf-values.ts";
import type { Arrangement } from "./arrangement.ts";
import { rotaryDivisors, rotaryKeys, rotaryQueries, same, transposed } from "./arrangement.ts";

/** A tensor in a model folder and in a GGUF file. In names, `#` stands for the number of a layer. */
export interface GgufTensorName {
  /** Name in the folder. With an `@` for the number of an expert, whose matrices the file stacks into one tensor. */
  readonly folder: string;
  readonly gguf: string;
  readonly arrangement: Arrangement;
  /** Never rounded to less than float32, because llama.cpp does not expect it to be. */
  readonly isExact: boolean;
}

/** A number in config.json and in a file's metadata. */
export interface GgufKey {
  readonly config: string;
  /** Without the architecture before it. */
  readonly gguf: string;
  readonly type: Extract<GgufNumberType, "uint32" | "float32">;
  /** What it is where the config or the file does not say; both must say it where this is missing. */
  readonly otherwise?: (config: Readonly<Record<string, unknown>>) => number;
}

/** How llama.cpp names and arranges what a model folder of one `model_type` holds. */
export interface GgufLayout {
  /** `model_type` of config.json. */
  readonly modelType: string;
  /** `general.architecture` of the file. */
  readonly architecture: string;
  /** Whether it is the one with experts, of those that share an architecture. */
  readonly hasExperts: boolean;
  readonly keys: readonly GgufKey[];
  /** Keys of config.json for which files have no place, with the only values they may have. */
  readonly fixed: Readonly<Record<string, unknown>>;
  readonly heads: { readonly config: string; readonly keyValue: string };
  readonly tensors: readonly GgufTensorName[];
  /** Tensors of files that carry nothing a folder holds. */
  readonly ignored: readonly string[];
}

const uint32 = (config: string, gguf: string, otherwise?: GgufKey["otherwise"]): GgufKey => ({
  ...{ config, gguf, type: "uint32" },
  ...(otherwise && { otherwise }),
});
const float32 = (config: string, gguf: string, otherwise?: GgufKey["otherwise"]): GgufKey => ({
  ...{ config, gguf, type: "float32" },
  ...(otherwise && { otherwise }),
});

const tensor = (folder: string, gguf: string, arrangement: Arrangement = same, isExact = false): GgufTensorName => ({
  ...{ folder, gguf, arrangement, isExact },
});

/** A layer with a weight and a bias; the folder holds the weight transposed where it is a matrix. */
const withBias = (folder: string, gguf: string, arrangement: Arrangement): GgufTensorName[] => [
  tensor(`${folder}.weight`, `${gguf}.weight`, arrangement),
  tensor(`${folder}.bias`, `${gguf}.bias`),
];

const gpt2: GgufLayout = {
  modelType: "gpt2",
  architecture: "gpt2",
  hasExperts: false,
  keys: [
    uint32("n_positions", "context_length"),
    uint32("n_embd", "embedding_length"),
    uint32("n_layer", "block_count"),
    uint32("n_inner", "feed_forward_length", (config) => 4 * Number(config.n_embd)),
    uint32("n_head", "attention.head_count"),
    float32("layer_norm_epsilon", "attention.layer_norm_epsilon"),
  ],
  fixed: { activation_function: "gelu_new" },
  heads: { config: "n_head", keyValue: "n_head" },
  tensors: [
    tensor("transformer.wte.weight", "token_embd.weight"),
    tensor("transformer.wpe.weight", "position_embd.weight", same, true),
    ...withBias("transformer.h.#.ln_1", "blk.#.attn_norm", same),
    ...withBias("transformer.h.#.attn.c_attn", "blk.#.attn_qkv", transposed),
    ...withBias("transformer.h.#.attn.c_proj", "blk.#.attn_output", transposed),
    ...withBias("transformer.h.#.ln_2", "blk.#.ffn_norm", same),
    ...withBias("transformer.h.#.mlp.c_fc", "blk.#.ffn_up", transposed),
    ...withBias("transformer.h.#.mlp.c_proj", "blk.#.ffn_down", transposed),
    ...withBias("transformer.ln_f", "output_norm", same),
    tensor("lm_head.weight", "output.weight"), // in many files a copy of the embedding
  ],
  ignored: [],
};

const rotaryDecoderKeys: readonly GgufKey[] = [
  uint32("max_position_embeddings", "context_length"),
  uint32("hidden_size", "embedding_length"),
  uint32("num_hidden_layers", "block_count"),
  uint32("intermediate_size", "feed_forward_length"),
  uint32("num_attention_heads", "attention.head_count"),
  uint32("num_key_value_heads", "attention.head_count_kv", (config) => Number(config.num_attention_heads)),
  uint32("head_dim", "attention.key_length", widthOfHead),
  uint32("head_dim", "attention.value_length", widthOfHead),
  uint32("head_dim", "rope.dimension_count", widthOfHead),
  float32("rope_theta", "rope.freq_base", () => 10_000),
  float32("rms_norm_eps", "attention.layer_norm_rms_epsilon"),
];

function widthOfHead(config: Readonly<Record<string, unknown>>): number {
  return Number(config.hidden_size) / Number(config.num_attention_heads);
}

/** Layers up to the feed-forward one, which is between these and the rest. */
const rotaryDecoderTensors: readonly GgufTensorName[] = [
  tensor("model.embed_tokens.weight", "token_embd.weight"),
  tensor("model.layers.#.input_layernorm.weight", "blk.#.attn_norm.weight"),
  tensor("model.layers.#.self_attn.q_proj.weight", "blk.#.attn_q.weight", rotaryQueries),
  tensor("model.layers.#.self_attn.k_proj.weight", "blk.#.attn_k.weight", rotaryKeys),
  tensor("model.layers.#.self_attn.v_proj.weight", "blk.#.attn_v.weight"),
  tensor("model.layers.#.self_attn.o_proj.weight", "blk.#.attn_output.weight"),
  tensor("model.layers.#.post_attention_layernorm.weight", "blk.#.ffn_norm.weight"),
  tensor("model.norm.weight", "output_norm.weight"),
  tensor("lm_head.weight", "output.weight"),
];

const llama: GgufLayout = {
  modelType: "llama",
  architecture: "llama",
  hasExperts: false,
  keys: rotaryDecoderKeys,
  fixed: { hidden_act: "silu", attention_bias: false, mlp_bias: false },
  heads: { config: "num_attention_heads", keyValue: "num_key_value_heads" },
  tensors: [
    ...rotaryDecoderTensors,
    tensor("model.layers.#.mlp.gate_proj.weight", "blk.#.ffn_gate.weight"),
    tensor("model.layers.#.mlp.up_proj.weight", "blk.#.ffn_up.weight"),
    tensor("model.layers.#.mlp.down_proj.weight", "blk.#.ffn_down.weight"),
  ],
  ignored: [rotaryDivisors],
};

/** To llama.cpp a Llama with experts. */
const mixtral: GgufLayout = {
  ...llama,
  modelType: "mixtral",
  hasExperts: true,
  fixed: { hidden_act: "silu", sliding_window: null },
  keys: [
    ...rotaryDecoderKeys,
    uint32("num_local_experts", "expert_count"),
    uint32("num_experts_per_tok", "expert_used_count"),
  ],
  tensors: [
    ...rotaryDecoderTensors,
    tensor("model.layers.#.block_sparse_moe.gate.weight", "blk.#.ffn_gate_inp.weight", same, true),
    tensor("model.layers.#.block_sparse_moe.experts.@.w1.weight", "blk.#.ffn_gate_exps.weight"),
    tensor("model.layers.#.block_sparse_moe.experts.@.w3.weight", "blk.#.ffn_up_exps.weight"),
    tensor("model.layers.#.block_sparse_moe.experts.@.w2.weight", "blk.#.ffn_down_exps.weight"),
  ],
};

/** Every kind of model that can leave as GGUF and come in from it. */
export const ggufLayouts: readonly GgufLayout[] = [gpt2, llama, mixtral];
