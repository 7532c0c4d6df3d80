import type { GgufValue } from "../../src/checkpoint/gguf-values.ts";
import type { GgufTensor } from "../../src/checkpoint/gguf-writer.ts";
import { writeGguf } from "../../src/checkpoint/gguf-writer.ts";

/** Sizes of a GPT-2. */
export interface Gpt2Shape {
  readonly layers: number;
  readonly heads: number;
  readonly width: number;
  readonly context: number;
  readonly vocabulary: number;
}

/**
 * Writes a GPT-2 with random float32 weights in llama.cpp's format: enough for measuring its speed, with a vocabulary
 * of made-up tokens.
 */
export async function writeRandomGguf(path: string, shape: Gpt2Shape): Promise<void> {
  const tensors = gpt2Tensors(shape).map(([name, axes], index): GgufTensor => {
    const size = axes.reduce((a, b) => a * b);
    const read = async () => randomWeights(size, index, name.endsWith("norm.weight") ? 1 : 0);
    return { name, shape: axes, dtype: "F32", read };
  });
  await writeGguf(path, { metadata: new Map(Object.entries(metadata(shape))), tensors });
}

/** Names and axes, rows first. */
function gpt2Tensors({ layers, width, context, vocabulary }: Gpt2Shape): [name: string, axes: number[]][] {
  const vectors = (names: Record<string, number>, prefix: string): [string, number[]][] =>
    Object.entries(names).map(([name, length]) => [prefix + name, [length]]);
  const blocks = Array.from({ length: layers }, (_, i): [string, number[]][] => [
    [`blk.${i}.attn_qkv.weight`, [3 * width, width]],
    [`blk.${i}.attn_output.weight`, [width, width]],
    [`blk.${i}.ffn_up.weight`, [4 * width, width]],
    [`blk.${i}.ffn_down.weight`, [width, 4 * width]],
    ...vectors({ "attn_qkv.bias": 3 * width, "attn_output.bias": width }, `blk.${i}.`),
    ...vectors({ "ffn_up.bias": 4 * width, "ffn_down.bias": width }, `blk.${i}.`),
    ...vectors({ "attn_norm.weight": width, "attn_norm.bias": width }, `blk.${i}.`),
    ...vectors({ "ffn_norm.weight": width, "ffn_norm.bias": width }, `blk.${i}.`),
  ]);
  return [
    ["token_embd.weight", [vocabulary, width]],
    ["position_embd.weight", [context, width]],
    ...blocks.flat(),
    ...vectors({ "output_norm.weight": width, "output_norm.bias": width }, ""),
  ];
}

function metadata({ layers, heads, width, context, vocabulary }: Gpt2Shape): Record<string, GgufValue> {
  const count = (value: number): GgufValue => ({ type: "uint32", value });
  const text = (value: string): GgufValue => ({ type: "string", value });
  const texts = (values: readonly string[]): GgufValue => ({ type: "array", elementType: "string", values });
  return {
    "general.architecture": text("gpt2"),
    "gpt2.context_length": count(context),
    "gpt2.embedding_length": count(width),
    "gpt2.block_count": count(layers),
    "gpt2.feed_forward_length": count(4 * width),
    "gpt2.attention.head_count": count(heads),
    "gpt2.attention.layer_norm_epsilon": { type: "float32", value: 1e-5 },
    "tokenizer.ggml.model": text("gpt2"),
    "tokenizer.ggml.pre": text("gpt-2"),
    "tokenizer.ggml.tokens": texts(Array.from({ length: vocabulary }, (_, id) => `t${id}`)),
    "tokenizer.ggml.merges": texts(["t 1"]),
    "tokenizer.ggml.eos_token_id": count(vocabulary - 1),
  };
}

/** Uniform numbers around `centre` with the standard deviation of GPT-2's initial weights, 0.02. */
function randomWeights(count: number, seed: number, centre: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(count);
  const scale = (0.02 * Math.sqrt(12)) / 2 ** 32;
  let state = seed + 1;
  for (let i = 0; i < count; i++) {
    // Xorshift (Marsaglia, 2003).
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[i] = centre + state * scale;
  }
  return values;
}
