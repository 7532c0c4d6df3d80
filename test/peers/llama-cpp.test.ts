import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PeerProcess } from "../../bench/peers/peer-process.ts";
import { openReference } from "../../src/backend/reference/index.ts";
import { fillAdapterFolder } from "../../src/checkpoint/model-folder.ts";
import { Random } from "../../src/core/random.ts";
import { findLlamaCpp } from "../../src/eval/llama-cpp.ts";
import { proveGguf } from "../../src/eval/llama-cpp-proof.ts";
import { embedTexts } from "../../src/generate/embed.ts";
import { openEmbedder } from "../../src/generate/embedder.ts";
import type { ModelFamily } from "../../src/models/family.ts";
import { exportGgufAdapter } from "../../src/models/gguf/adapter.ts";
import { exportGguf, importGguf, modelfileFor } from "../../src/models/gguf/files.ts";
import { ggufLayouts } from "../../src/models/gguf/layout.ts";
import type { GgufMixture } from "../../src/models/gguf/mixtures.ts";
import { families } from "../../src/models/index.ts";
import { loadModel } from "../../src/models/load.ts";
import { adapt } from "../../src/models/low-rank-adapters.ts";
import { adapterContents } from "../../src/models/write-adapters.ts";
import { trainedParameters } from "../../src/nn/parameters.ts";
import { runStage } from "../../src/stages/run-stage.ts";
import { sft } from "../../src/stages/sft.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { writeSmallEncoder } from "../small-encoder.ts";
import { tokenizer, writeSmallModel } from "../small-model.ts";

/**
 * llama.cpp itself opens what we export. It is no dependency: without it these tests are skipped, and
 * `npm install --prefix .stemma/peers node-llama-cpp@3.22.1` brings it.
 */
const isInstalled = existsSync(join(import.meta.dirname, "../../.stemma/peers/node_modules/node-llama-cpp"));
const backend = openReference();
const text = "In the beginning naïve 🙂 the<|im_start|>heaven";
const count = 12;

interface Answer {
  readonly ids: readonly number[];
  readonly probabilities: readonly number[];
  readonly continuation: readonly number[];
}

interface Embedded {
  readonly ids: readonly number[];
  readonly embedding: readonly number[];
}

/**
 * Largest difference of a probability, relative to it. In float32 llama.cpp is exact but for GELU, which it looks up in
 * a table of float16; with other weights it also rounds what they are multiplied by, to 8 bits for blocks.
 */
const tolerances: readonly (readonly [GgufMixture, number])[] = [
  ["F16", 0.005],
  ["BF16", 0.05],
  ["Q8_0", 0.1],
  ["Q4_0", 0.1],
  ["Q5_0", 0.1],
];

/** Models of every architecture, whose windows are shorter than the text, and whose gains and biases all matter. */
const cases: readonly (readonly [name: string, family: keyof typeof families, change: Record<string, unknown>])[] = [
  ["gpt2", "gpt2", {}],
  ["llama", "llama", {}],
  ["llama with biases", "llama", { attention_bias: true, mlp_bias: true, tie_word_embeddings: false }],
  [
    "llama with Llama 3's scaling",
    "llama",
    {
      rope_scaling: {
        rope_type: "llama3",
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 32,
      },
    },
  ],
  ["llama with linear scaling", "llama", { rope_scaling: { rope_type: "linear", factor: 2 } }],
  [
    "llama with YaRN",
    "llama",
    { rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 16 } },
  ],
  ["mistral", "mistral", { sliding_window: null, head_dim: 32 }],
  ["mixtral", "mixtral", {}],
  ["qwen2", "qwen2", {}],
  ["qwen3", "qwen3", { head_dim: 32 }],
  ["qwen3-moe", "qwen3-moe", {}],
  ["gemma", "gemma", { head_dim: 32 }],
  ["gemma2", "gemma2", { num_hidden_layers: 3, sliding_window: 8 }],
  ["gemma3", "gemma3", { num_hidden_layers: 7, sliding_window: 8 }],
  ["smollm3", "smollm3", { num_hidden_layers: 5 }],
  ["phi", "phi", {}],
  ["phi3", "phi3", {}],
  [
    "phi3 with long positions",
    "phi3",
    {
      rope_scaling: {
        rope_type: "longrope",
        short_factor: [1, 1.5, 2, 2, 2, 3, 3, 3],
        long_factor: [2, 3, 4, 4, 5, 5, 6, 6],
      },
      original_max_position_embeddings: 40,
    },
  ],
  ["gpt-neox", "gpt-neox", {}],
  ["gpt-neox in series", "gpt-neox", { use_parallel_residual: false, tie_word_embeddings: true }],
  ["bloom", "bloom", {}],
  ["falcon", "falcon", {}],
  ["falcon of many keys", "falcon", { multi_query: false, tie_word_embeddings: false }],
  ["falcon with two norms", "falcon", { new_decoder_architecture: true, num_kv_heads: 2 }],
  ["olmo", "olmo", {}],
  ["olmo2", "olmo2", {}],
  ["olmo3", "olmo3", { num_hidden_layers: 5, sliding_window: 8 }],
  ["stablelm", "stablelm", { use_qkv_bias: true }],
  ["stablelm in parallel", "stablelm", { use_parallel_residual: true }],
  ["starcoder2", "starcoder2", {}],
  ["cohere", "cohere", { logit_scale: 0.25 }],
  ["cohere2", "cohere2", { num_hidden_layers: 5, sliding_window: 8, logit_scale: 0.25 }],
  [
    "granite",
    "granite",
    {
      embedding_multiplier: 3,
      attention_multiplier: 0.3,
      residual_multiplier: 0.4,
      logits_scaling: 2,
      attention_bias: true,
      mlp_bias: true,
    },
  ],
];

/** llama.cpp computes the GELU of these by its approximation, we by the error function. */
const approximate = /^(falcon|gpt-neox)/;

/** One of each way in which files arrange weights. */
const kinds = cases.filter(([name]) => ["gpt2", "llama", "mixtral"].includes(name));

test("every architecture that leaves is compared", () => {
  const compared = new Set<string>(cases.map(([, family]) => families[family].modelType));
  expect([...new Set(ggufLayouts.map(({ modelType }) => modelType))].filter((type) => !compared.has(type))).toEqual([]);
});

describe.skipIf(!isInstalled)("llama.cpp gives the tokens and probabilities that we give", { timeout: 120_000 }, () => {
  let folder = "";
  let peer: PeerProcess;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "llama-cpp-"));
    peer = PeerProcess.script(join(import.meta.dirname, "llama-tokens.ts"));
  });
  afterAll(async () => {
    peer?.close();
    await rm(folder, { recursive: true });
  });

  test.each(cases)("%s", async (name, family, change) => {
    await compare(name, [families[family], change], "F32", approximate.test(name) ? 0.01 : 0.002);
  });

  describe.each(kinds)("%s", (name, family, change) => {
    test.each(tolerances)("as %s", (dtype, tolerance) => compare(name, [families[family], change], dtype, tolerance));
  });

  test.each(kinds.filter(([name]) => name !== "mixtral"))("base and adapter of %s", async (name, family) => {
    const [base, file, adapter, pairs] = ["base", "base.gguf", "peft", "pairs.gguf"].map((x) =>
      join(folder, `${name}-${x}`),
    ) as [string, string, string, string];
    const sizes = { initializer_range: 0.1, n_positions: 64, max_position_embeddings: 64 };
    await writeSmallModel(base, families[family], sizes, 0.2);
    await writeRandomAdapter(adapter, base);
    await exportGguf(base, file, "F32");
    await exportGgufAdapter(base, adapter, pairs);
    const theirs = await peer.ask<Answer>({ model: file, adapter: pairs, text, count });
    const plain = await peer.ask<Answer>({ model: file, text, count });
    const [ours = []] = await continued(base, theirs, [adapter]);
    expect(furthest(ours, theirs)).toBeLessThan(0.002);
    expect(furthest(ours, plain)).toBeGreaterThan(0.05);
  });

  test.each([
    ["F32", 1e-3],
    ["Q8_0", 1e-2],
  ] as const)("embeddings of a BERT as %s", (mixture, tolerance) =>
    compareEmbeddings({ folder, peer }, mixture, tolerance),
  );

  test("what was taught on a file leaves again, with a Modelfile, and is read as it is here", () =>
    teachAndLeave(folder));

  test("blocks of 256 are read as they are here", () => proveBlocks(folder));

  async function compare(
    name: string,
    [family, change]: readonly [ModelFamily, Record<string, unknown>],
    dtype: GgufMixture,
    tolerance: number,
  ): Promise<void> {
    const [original, file, back] = [name, `${name}-${dtype}.gguf`, `${name}-${dtype}`].map((x) => join(folder, x));
    // Weights far from 0, so that the model prefers some tokens to others.
    const sizes = { initializer_range: 0.1, n_positions: 64, max_position_embeddings: 64, seq_length: 64 };
    await writeSmallModel(original!, family, { ...sizes, ...change }, 0.2);
    await exportGguf(original!, file!, dtype);
    await importGguf(file!, back!);
    const theirs = await peer.ask<Answer>({ model: file, text, count });
    expect(theirs.ids).toEqual([...tokenizer.encode(text)]);
    const ours = await continued(back!, theirs);
    const shortfall = theirs.continuation.map((id, step) => 1 - ours[step]![id]! / Math.max(...ours[step]!));
    expect(furthest(ours[0]!, theirs)).toBeLessThan(tolerance);
    // Two tokens may be as probable as each other: theirs is ours, or nearly as probable.
    expect(Math.max(...shortfall)).toBeLessThan(tolerance);
  }
});

/** Largest difference of a probability, relative to ours. */
function furthest(ours: readonly number[], { probabilities }: Answer): number {
  return Math.max(...ours.map((p, id) => Math.abs((probabilities[id] ?? 0) / p - 1)));
}

/** Random changes of rank 2 of all matrices but the embedding. */
async function writeRandomAdapter(path: string, base: string): Promise<void> {
  const { model, family } = await loadModel(base, backend);
  const options = { rank: 2, alpha: 6, targets: "all" } as const;
  adapt(model, options, new Random(1));
  for (const parameter of trainedParameters(model).values()) parameter.write(new Random(3).normal(parameter.size, 0.2));
  const about = { ...options, base, taskType: "CAUSAL_LM" } as const;
  await mkdir(path);
  await fillAdapterFolder(path, adapterContents(family.tensors(model), model, about, [], []));
}

/** Probabilities of the next token that a model folder gives at each step of a continuation. */
async function continued(
  path: string,
  { ids, continuation }: Answer,
  adapters: readonly string[] = [],
): Promise<number[][]> {
  const { model } = await loadModel(path, backend, "float32", adapters);
  const all = Int32Array.from([...ids, ...continuation.slice(0, -1)]);
  const hidden = model.forward(Tensor.from(backend, all, [1, all.length]));
  const logits = [...(await model.logits(hidden).read())];
  const rows = model.settings.vocabularySize;
  return continuation.map((_, step) => {
    const row = logits.slice((ids.length - 1 + step) * rows, (ids.length + step) * rows).map(Math.exp);
    const sum = row.reduce((total, x) => total + x, 0);
    return row.map((x) => x / sum);
  });
}

async function compareEmbeddings(
  { folder, peer }: { readonly folder: string; readonly peer: PeerProcess },
  mixture: GgufMixture,
  tolerance: number,
): Promise<void> {
  const [encoder, file] = [join(folder, `bert-${mixture}`), join(folder, `bert-${mixture}.gguf`)];
  await writeSmallEncoder(encoder);
  expect(await exportGguf(encoder, file, mixture)).toContain("GELU");
  const embedder = await openEmbedder(encoder, backend);
  for (const some of ["in the beginning god created", "void, Heaven!", "the earth xyz form"]) {
    const { ids, embedding } = await peer.ask<Embedded>({ model: file, text: some, embeds: true });
    expect(ids).toEqual([...embedder.tokenizer.encode(some)]);
    const [ours = new Float32Array()] = await embedTexts(embedder, [some]);
    const dot = ours.reduce((sum, value, i) => sum + value * (embedding[i] ?? 0), 0);
    expect(1 - dot / Math.hypot(...ours) / Math.hypot(...embedding)).toBeLessThan(tolerance);
  }
}

async function teachAndLeave(folder: string): Promise<void> {
  const [base, file, rows, run] = ["taught", "taught.gguf", "rows.jsonl", "run"].map((x) => join(folder, x)) as [
    string,
    string,
    string,
    string,
  ];
  await writeSmallModel(base, families.llama, { initializer_range: 0.1, max_position_embeddings: 256 }, 0.2);
  await exportGguf(base, file, "Q8_0");
  const row = { prompt: "In the beginning", completion: "God created the heaven" };
  await writeFile(rows, `${JSON.stringify(row)}\n`.repeat(8));
  const given = { model: file, data: [rows], validationShare: 0, output: run, steps: 4, batchSize: 4 };
  const settings = sft.settings.parse({ ...given, loraRank: 2, loraTargets: "all", learningRate: 1e-2 });
  await runStage(sft, settings, { note: () => undefined });
  const [final, out] = [join(run, "final"), join(folder, "out.gguf")];
  await exportGguf(final, out, "F32");
  const { text: written } = await modelfileFor(final, join(folder, "Modelfile"), {
    ...{ model: out, adapter: null, system: null },
  });
  expect(written).toContain("FROM ./out.gguf\n");
  expect(written).toContain(`PARAMETER stop ${JSON.stringify("<|endoftext|>")}`);
  const proof = await proveGguf(out, backend, findLlamaCpp());
  expect(proof).toMatchObject({ firstOtherToken: null, agrees: true });
  const before = await proveGguf(file, backend, findLlamaCpp());
  expect(proof).not.toEqual(before);
}

async function proveBlocks(folder: string): Promise<void> {
  const [folderOf, file] = [join(folder, "wide"), join(folder, "wide.gguf")];
  await writeSmallModel(
    folderOf,
    families.llama,
    { hidden_size: 256, intermediate_size: 512, initializer_range: 0.05, max_position_embeddings: 256 },
    0.2,
  );
  await exportGguf(folderOf, file, "Q4_K_M");
  const proof = await proveGguf(file, backend, findLlamaCpp());
  expect(proof).toMatchObject({ firstOtherToken: null, agrees: true });
}
