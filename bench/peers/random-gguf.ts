import { ggmlBytes } from "../../src/checkpoint/gguf-header.ts";
import type { GgufValue } from "../../src/checkpoint/gguf-values.ts";
import type { GgufDtype, GgufTensor } from "../../src/checkpoint/gguf-writer.ts";
import { writeGguf } from "../../src/checkpoint/gguf-writer.ts";
import type { GgufMixture } from "../../src/models/gguf/mixtures.ts";
import { dtypeInMixture } from "../../src/models/gguf/mixtures.ts";

/** Sizes of a Llama whose embedding serves as output layer. */
export interface LlamaShape {
  readonly layers: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly width: number;
  readonly hidden: number;
  readonly context: number;
  readonly vocabulary: number;
}

/**
 * Writes a Llama with random weights in llama.cpp's format: enough for measuring its speed, with a vocabulary of made-up
 * tokens. Matrices are stored as the mixture has it, gains as float32.
 */
export async function writeRandomGguf(path: string, shape: LlamaShape, mixture: GgufMixture): Promise<void> {
  const tensors = llamaTensors(shape).map(([name, axes], index): GgufTensor => {
    const size = axes.reduce((a, b) => a * b);
    const isGain = axes.length === 1;
    const dtype = isGain ? "F32" : dtypeOf(name, axes, shape, mixture);
    return { name, shape: axes, dtype, read: async () => randomWeights(size, index, +isGain) };
  });
  await writeGguf(path, { metadata: new Map(Object.entries(metadata(shape))), tensors });
}

/** Bytes of all matrices: what a token has to pass, for of the embedding it reads a row and the output layer reads all. */
export function matrixBytes(shape: LlamaShape, mixture: GgufMixture): number {
  const matrices = llamaTensors(shape).filter(([, axes]) => axes.length > 1);
  return matrices.reduce((sum, [name, axes]) => {
    return sum + (ggmlBytes(dtypeOf(name, axes, shape, mixture), axes) ?? Number.NaN);
  }, 0);
}

/** Of a format alone all matrices are of it, the embedding too. */
function dtypeOf(name: string, axes: readonly number[], { layers }: LlamaShape, mixture: GgufMixture): GgufDtype {
  if (mixture !== "Q4_K_M" && mixture !== "Q5_K_M") return mixture;
  return dtypeInMixture(mixture, { name, shape: axes }, { architecture: "llama", layers, experts: 0, isTied: true });
}

/** Names and axes, rows first. */
function llamaTensors(shape: LlamaShape): [name: string, axes: number[]][] {
  const { layers, heads, keyValueHeads, width, hidden, vocabulary } = shape;
  const keyValues = (keyValueHeads * width) / heads;
  const block: [string, number[]][] = [
    ["attn_norm", [width]],
    ["attn_q", [width, width]],
    ["attn_k", [keyValues, width]],
    ["attn_v", [keyValues, width]],
    ["attn_output", [width, width]],
    ["ffn_norm", [width]],
    ["ffn_gate", [hidden, width]],
    ["ffn_up", [hidden, width]],
    ["ffn_down", [width, hidden]],
  ];
  const blocks = Array.from({ length: layers }, (_, i) =>
    block.map(([name, axes]): [string, number[]] => [`blk.${i}.${name}.weight`, axes]),
  );
  return [["token_embd.weight", [vocabulary, width]], ...blocks.flat(), ["output_norm.weight", [width]]];
}

function metadata(shape: LlamaShape): Record<string, GgufValue> {
  const { layers, heads, keyValueHeads, width, hidden, context, vocabulary } = shape;
  const count = (value: number): GgufValue => ({ type: "uint32", value });
  const text = (value: string): GgufValue => ({ type: "string", value });
  const texts = (values: readonly string[]): GgufValue => ({ type: "array", elementType: "string", values });
  return {
    "general.architecture": text("llama"),
    "llama.context_length": count(context),
    "llama.embedding_length": count(width),
    "llama.block_count": count(layers),
    "llama.feed_forward_length": count(hidden),
    "llama.attention.head_count": count(heads),
    "llama.attention.head_count_kv": count(keyValueHeads),
    "llama.rope.dimension_count": count(width / heads),
    "llama.attention.layer_norm_rms_epsilon": { type: "float32", value: 1e-5 },
    "tokenizer.ggml.model": text("gpt2"),
    "tokenizer.ggml.pre": text("gpt-2"),
    "tokenizer.ggml.tokens": texts(Array.from({ length: vocabulary }, (_, id) => `t${id}`)),
    "tokenizer.ggml.merges": texts(["t 1"]),
    "tokenizer.ggml.eos_token_id": count(vocabulary - 1),
  };
}

/** Uniform numbers around `centre` with the standard deviation of a model's initial weights, 0.02. */
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
