import type { RotaryRule, RotaryScaling } from "../../nn/rotary-table.ts";
import type { ModelConfig } from "../family.ts";
import type { GptSettings } from "../gpt.ts";
import type { Arrangement } from "./arrangement.ts";
import { same, transposed } from "./arrangement.ts";
import { decoderLayouts } from "./decoder-layouts.ts";
import type { GgufKey } from "./keys.ts";
import { sameKey } from "./keys.ts";

/** A tensor in a model folder and in a GGUF file. In names, `#` stands for the number of a layer. */
export interface GgufTensorName {
  /** Name in the folder. With an `@` for the number of an expert, whose matrices the file stacks into one tensor. */
  readonly folder: string;
  readonly gguf: string;
  readonly arrangement: Arrangement;
  /** Never rounded to less than float32, because llama.cpp does not expect it to be. */
  readonly isExact: boolean;
}

/** What tells layouts of one architecture apart. */
export interface GgufSigns {
  readonly has: (tensor: string) => boolean;
  /** A number of the metadata, by its name without the architecture; null where there is none. */
  readonly number: (key: string) => number | null;
}

/** How llama.cpp names and arranges what a model folder of one `model_type` holds. */
export interface GgufLayout {
  /** `model_type` of config.json. */
  readonly modelType: string;
  /** `general.architecture` of the file. */
  readonly architecture: string;
  /** Whether a file of the architecture is of this layout; without, it is. The first that says so has it. */
  readonly isOf?: (file: GgufSigns) => boolean;
  readonly keys: readonly GgufKey[];
  /** Keys of config.json that files say nothing about, because llama.cpp knows one value only. */
  readonly fixed: ModelConfig;
  /** Keys of config.json that follow from others, and from which tensors a file has. */
  readonly told?: (config: ModelConfig, has: (tensor: string) => boolean) => ModelConfig;
  /** How positions turn, in the layers whose rule a file has; null for none. */
  rotary(settings: unknown): RotaryRule | null;
  /** Ways to scale it that llama.cpp follows for this architecture. */
  readonly scalings: readonly RotaryScaling["kind"][];
  readonly tensors: readonly GgufTensorName[];
  /** Whether a file must have an output layer, even if a copy of the embedding; may have one; or can have none. */
  readonly output: "required" | "optional" | "none";
  /** In what llama.cpp computes otherwise, whatever the file says; null where it does not. */
  differs?(settings: unknown): string | null;
}

/** Entry of {@link GgufLayout.tensors}. */
export const tensor = (
  folder: string,
  gguf: string,
  arrangement: Arrangement = same,
  isExact = false,
): GgufTensorName => ({ folder, gguf, arrangement, isExact });

/** A layer with a weight and a bias. */
const withBias = (folder: string, gguf: string, arrangement: Arrangement): GgufTensorName[] => [
  tensor(`${folder}.weight`, `${gguf}.weight`, arrangement),
  tensor(`${folder}.bias`, `${gguf}.bias`),
];

const gpt2Keys: readonly GgufKey<GptSettings>[] = [
  sameKey("uint32", "context_length", (gpt) => gpt.context, "n_positions"),
  sameKey("uint32", "embedding_length", (gpt) => gpt.width, "n_embd"),
  sameKey("uint32", "block_count", (gpt) => gpt.layers, "n_layer"),
  sameKey(
    "uint32",
    "feed_forward_length",
    (gpt) => gpt.hidden,
    "n_inner",
    (config) => 4 * Number(config.n_embd),
  ),
  sameKey("uint32", "attention.head_count", (gpt) => gpt.heads, "n_head"),
  sameKey("float32", "attention.layer_norm_epsilon", (gpt) => gpt.normEpsilon, "layer_norm_epsilon"),
];

/** GPT-2's folders hold matrices as `[in, out]`. */
const gpt2: GgufLayout = {
  modelType: "gpt2",
  architecture: "gpt2",
  keys: gpt2Keys,
  fixed: { activation_function: "gelu_new" },
  rotary: () => null,
  scalings: [],
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
  output: "optional",
};

/** Every kind of model that can leave as GGUF and come in from it. */
export const ggufLayouts: readonly GgufLayout[] = [gpt2, ...decoderLayouts];
