import type { BertSettings } from "../bert.ts";
import type { GgufKey } from "./keys.ts";
import { sameKey } from "./keys.ts";
import type { GgufLayout } from "./layout.ts";
import { tensor } from "./layout.ts";

const keys: readonly GgufKey<BertSettings>[] = [
  sameKey("uint32", "context_length", (bert) => bert.context, "max_position_embeddings"),
  sameKey("uint32", "embedding_length", (bert) => bert.width, "hidden_size"),
  sameKey("uint32", "block_count", (bert) => bert.layers, "num_hidden_layers"),
  sameKey("uint32", "feed_forward_length", (bert) => bert.hidden, "intermediate_size"),
  sameKey("uint32", "attention.head_count", (bert) => bert.heads, "num_attention_heads"),
  sameKey("float32", "attention.layer_norm_epsilon", (bert) => bert.normEpsilon, "layer_norm_eps"),
  sameKey("bool", "attention.causal", () => false, null),
];

const both = (folder: string, gguf: string) =>
  ["weight", "bias"].map((part) => tensor(`${folder}.${part}`, `${gguf}.${part}`));
const layer = "encoder.layer.#";

/** BERT without a head, which llama.cpp makes embeddings with. It leaves as a file and does not come in from one. */
export const bertLayout: GgufLayout = {
  modelType: "bert",
  architecture: "bert",
  keys,
  fixed: { hidden_act: "gelu" },
  rotary: () => null,
  scalings: [],
  tensors: [
    tensor("embeddings.word_embeddings.weight", "token_embd.weight"),
    { ...tensor("embeddings.position_embeddings.weight", "position_embd.weight"), isExact: true },
    { ...tensor("embeddings.token_type_embeddings.weight", "token_types.weight"), isExact: true },
    ...both("embeddings.LayerNorm", "token_embd_norm"),
    ...both(`${layer}.attention.self.query`, "blk.#.attn_q"),
    ...both(`${layer}.attention.self.key`, "blk.#.attn_k"),
    ...both(`${layer}.attention.self.value`, "blk.#.attn_v"),
    ...both(`${layer}.attention.output.dense`, "blk.#.attn_output"),
    ...both(`${layer}.attention.output.LayerNorm`, "blk.#.attn_output_norm"),
    ...both(`${layer}.intermediate.dense`, "blk.#.ffn_up"),
    ...both(`${layer}.output.dense`, "blk.#.ffn_down"),
    ...both(`${layer}.output.LayerNorm`, "blk.#.layer_output_norm"),
  ],
  output: "optional",
  differs: () => "llama.cpp computes GELU by its approximation with tanh, this model by the error function",
};
