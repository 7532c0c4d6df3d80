import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openReference } from "../../src/backend/reference/index.ts";
import { UnsupportedError } from "../../src/core/errors.ts";
import type { ModelFamily } from "../../src/models/family.ts";
import { exportGguf, importGguf } from "../../src/models/gguf/files.ts";
import { families } from "../../src/models/index.ts";
import { loadModel } from "../../src/models/load.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { tokenizer, writeSmallModel } from "../small-model.ts";

const backend = openReference();

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "gguf-families-"));
});
afterAll(() => rm(root, { recursive: true }));

async function makeFolder(name: string, family: ModelFamily, change: Record<string, unknown> = {}): Promise<string> {
  const path = join(root, name);
  await writeSmallModel(path, family, change);
  return path;
}

test.each([
  ["mistral", { sliding_window: 8 }, "lets every token see all before it, this model the last 8"],
  ["mistral", { sliding_window: 16 }, null],
  ["gpt-neox", {}, "computes GELU by its approximation with tanh"],
  ["qwen3", {}, null],
] as const)("a note says in what llama.cpp's %s with %j differs", async (name, change, note) => {
  const folder = await makeFolder(`noted-${name}-${Object.values(change)}`, families[name], change);
  const found = await exportGguf(folder, join(root, "noted.gguf"), "F32");
  expect(found).toEqual(note === null ? null : expect.stringContaining(note));
});

/** Variants of families, which the usual model of each is not. */
const variants: [name: keyof typeof families, change: Record<string, unknown>][] = [
  ["llama", { attention_bias: true, mlp_bias: true }],
  [
    "llama",
    {
      rope_scaling: {
        rope_type: "yarn",
        factor: 4,
        original_max_position_embeddings: 4,
        attention_factor: 1.5,
        beta_fast: 16,
        beta_slow: 2,
      },
    },
  ],
  // As newer folders have them: in one place, which counts.
  ["llama", { rope_parameters: { rope_type: "linear", rope_theta: 100, factor: 4 } }],
  ["mistral", { sliding_window: 8, head_dim: 8 }],
  ["mixtral", { sliding_window: 8 }],
  [
    "gemma3",
    {
      num_hidden_layers: 4,
      layer_types: ["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
      rope_local_base_freq: 500,
    },
  ],
  ["gemma2", { layer_types: ["full_attention", "full_attention"] }],
  [
    "phi3",
    {
      original_max_position_embeddings: 8,
      rope_scaling: {
        rope_type: "longrope",
        short_factor: [1, 1, 2, 2, 3, 3, 4, 4],
        long_factor: [2, 2, 3, 3, 4, 4, 5, 5.5],
      },
      sliding_window: 8,
    },
  ],
  ["phi3", { partial_rotary_factor: 0.75 }],
  ["phi", { partial_rotary_factor: 0.4, hidden_size: 80, head_dim: 20 }],
  ["gpt-neox", { use_parallel_residual: false, tie_word_embeddings: true }],
  ["falcon", { new_decoder_architecture: true, num_kv_heads: 2 }],
  ["falcon", { new_decoder_architecture: true, num_kv_heads: 2, num_ln_in_parallel_attn: 1 }],
  ["falcon", { multi_query: false }],
  ["stablelm", { use_parallel_residual: true, use_qkv_bias: true }],
  ["olmo3", { num_hidden_layers: 8 }],
  ["starcoder2", { sliding_window: 8 }],
  [
    "granite",
    { embedding_multiplier: 3, attention_multiplier: 0.3, residual_multiplier: 0.4, logits_scaling: 2, mlp_bias: true },
  ],
];
test.each(variants)("%s with %j comes back bit for bit, and computes the same", async (name, change) => {
  const [folder, file, back] = ["variant", "variant.gguf", "variant-back"].map((part) => join(root, part));
  await writeSmallModel(folder!, families[name], change, 0.2);
  await exportGguf(folder!, file!, "F32");
  await rm(back!, { recursive: true, force: true });
  expect(await importGguf(file!, back!)).toBeNull();
  const [weights, again] = [folder, back].map((from) => readFile(join(from!, "model.safetensors")));
  expect((await again!).equals(await weights!)).toBe(true);
  const ids = Tensor.from(
    backend,
    Int32Array.from({ length: 14 }, (_, i) => 7 * i + 1),
    [1, 14],
  );
  const [before, after] = await Promise.all(
    [folder, back].map(async (from) => (await loadModel(from!, backend)).model.forward(ids).floats()),
  );
  // Factors come back as float32 has them.
  const furthest = before!.reduce((most, x, i) => Math.max(most, Math.abs(after![i]! - x)), 0);
  expect(furthest).toBeLessThan(1e-4);
  await rm(folder!, { recursive: true });
});

describe("export refuses", () => {
  test.each([
    [
      "a model that llama.cpp has not",
      "gpt1",
      {},
      "a model of type openai-gpt cannot be written for llama.cpp; those that can are gpt2, mixtral, mistral, llama",
    ],
    [
      "another activation",
      "gpt2",
      { activation_function: "gelu" },
      "llama.cpp runs gpt2 only with activation geluTanh, this model has gelu",
    ],
    [
      "scores that fall with distance",
      "falcon",
      { alibi: true },
      "llama.cpp runs falcon only with positions.kind none",
    ],
    [
      "windows",
      "qwen2",
      { use_sliding_window: true, sliding_window: 4, max_window_layers: 1 },
      "qwen2 only with attention.1.window none, this model has 4",
    ],
    ["an output layer", "gemma", { tie_word_embeddings: false }, "gemma only with the embedding as output layer"],
    [
      "another scale of scores",
      "gemma2",
      { query_pre_attn_scalar: 5 },
      "gemma2 only with attentionScale 0.25, this model has 0.447",
    ],
    ["biases", "qwen3", { attention_bias: true }, "qwen3 only with bias.qkv false, this model has true"],
    [
      "scaling",
      "qwen2",
      { rope_scaling: { rope_type: "longrope", short_factor: [1], long_factor: [2] } },
      "qwen2 only with linear scaling or yarn scaling of positions, this model has longrope",
    ],
    ["layers that turn", "smollm3", { no_rope_layers: [0, 1] }, "smollm3 only with attention.0.rotary"],
    [
      "another gate",
      "llama",
      { hidden_act: "gelu" },
      "llama.cpp runs llama only with activation silu, this model has gelu",
    ],
  ] as const)("%s", async (_, name, change, message) => {
    const folder = await makeFolder(`refused-${name}-${Object.keys(change).join("")}`, families[name], change);
    const path = join(root, "refused.gguf");
    await expect(exportGguf(folder, path, "F32")).rejects.toThrow(UnsupportedError);
    await expect(exportGguf(folder, path, "F32")).rejects.toThrow(message);
    expect(await readdir(root)).not.toContain("refused.gguf");
  });

  test("a model with fewer tokens than its tokenizer", async () => {
    const folder = await makeFolder("small", families.gpt2, { vocab_size: 100 });
    await expect(exportGguf(folder, join(root, "small.gguf"), "F32")).rejects.toThrow(
      `small: the tokenizer has ${tokenizer.vocabularySize} tokens, the model 100`,
    );
  });
});
