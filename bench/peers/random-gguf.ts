import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";

/** Sizes of a GPT-2. */
export interface Gpt2Shape {
  readonly layers: number;
  readonly heads: number;
  readonly width: number;
  readonly context: number;
  readonly vocabulary: number;
}

type Value = string | number | { readonly float: number } | readonly string[];

const alignment = 32;

/**
 * Writes a GPT-2 with random float32 weights in llama.cpp's format: enough for measuring its speed, with a vocabulary
 * of made-up tokens.
 */
export async function writeRandomGguf(path: string, shape: Gpt2Shape): Promise<void> {
  const tensors = gpt2Tensors(shape);
  const stream = createWriteStream(path);
  const done = finished(stream);
  stream.write(header(metadata(shape), tensors));
  for (const [index, [name, lengths]] of tensors.entries()) {
    const values = randomWeights(
      lengths.reduce((a, b) => a * b),
      index,
      name.endsWith("norm.weight") ? 1 : 0,
    );
    const padding = Buffer.alloc(-values.byteLength & (alignment - 1));
    stream.write(Buffer.from(values.buffer));
    if (!stream.write(padding)) await once(stream, "drain");
  }
  stream.end();
  await done;
}

/** Names and lengths as llama.cpp wants them: innermost axis first. */
function gpt2Tensors({ layers, width, context, vocabulary }: Gpt2Shape): [name: string, lengths: number[]][] {
  const vectors = (names: Record<string, number>, prefix: string): [string, number[]][] =>
    Object.entries(names).map(([name, length]) => [prefix + name, [length]]);
  const blocks = Array.from({ length: layers }, (_, i): [string, number[]][] => [
    [`blk.${i}.attn_qkv.weight`, [width, 3 * width]],
    [`blk.${i}.attn_output.weight`, [width, width]],
    [`blk.${i}.ffn_up.weight`, [width, 4 * width]],
    [`blk.${i}.ffn_down.weight`, [4 * width, width]],
    ...vectors({ "attn_qkv.bias": 3 * width, "attn_output.bias": width }, `blk.${i}.`),
    ...vectors({ "ffn_up.bias": 4 * width, "ffn_down.bias": width }, `blk.${i}.`),
    ...vectors({ "attn_norm.weight": width, "attn_norm.bias": width }, `blk.${i}.`),
    ...vectors({ "ffn_norm.weight": width, "ffn_norm.bias": width }, `blk.${i}.`),
  ]);
  return [
    ["token_embd.weight", [width, vocabulary]],
    ["position_embd.weight", [width, context]],
    ...blocks.flat(),
    ...vectors({ "output_norm.weight": width, "output_norm.bias": width }, ""),
  ];
}

function metadata({ layers, heads, width, context, vocabulary }: Gpt2Shape): Record<string, Value> {
  return {
    "general.architecture": "gpt2",
    "gpt2.context_length": context,
    "gpt2.embedding_length": width,
    "gpt2.block_count": layers,
    "gpt2.feed_forward_length": 4 * width,
    "gpt2.attention.head_count": heads,
    "gpt2.attention.layer_norm_epsilon": { float: 1e-5 },
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.tokens": Array.from({ length: vocabulary }, (_, id) => `t${id}`),
    "tokenizer.ggml.merges": ["t 1"],
    "tokenizer.ggml.eos_token_id": vocabulary - 1,
  };
}

/** Header, metadata and tensor table, up to the first tensor's bytes. */
function header(entries: Record<string, Value>, tensors: readonly [string, number[]][]): Buffer {
  const parts = [Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(Object.keys(entries).length)];
  for (const [key, value] of Object.entries(entries)) parts.push(text(key), encoded(value));
  let offset = 0;
  for (const [name, lengths] of tensors) {
    const float32 = 0;
    parts.push(text(name), u32(lengths.length), ...lengths.map(u64), u32(float32), u64(offset));
    offset += aligned(4 * lengths.reduce((a, b) => a * b));
  }
  const written = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([...parts, Buffer.alloc(aligned(written) - written)]);
}

/** Type id and value: 4 is an unsigned integer, 6 a float, 8 a string, 9 a list. */
function encoded(value: Value): Buffer {
  if (typeof value === "number") return Buffer.concat([u32(4), u32(value)]);
  if (typeof value === "string") return Buffer.concat([u32(8), text(value)]);
  if ("float" in value) return Buffer.concat([u32(6), Buffer.from(Float32Array.of(value.float).buffer)]);
  return Buffer.concat([u32(9), u32(8), u64(value.length), ...value.map(text)]);
}

function u32(value: number): Buffer {
  return Buffer.from(Uint32Array.of(value).buffer);
}

function u64(value: number): Buffer {
  return Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}

function aligned(size: number): number {
  return Math.ceil(size / alignment) * alignment;
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
