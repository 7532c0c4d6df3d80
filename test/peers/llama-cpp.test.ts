import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PeerProcess } from "../../bench/peers/peer-process.ts";
import { openReference } from "../../src/backend/reference/index.ts";
import type { GgufDtype } from "../../src/checkpoint/gguf-writer.ts";
import type { ModelFamily } from "../../src/models/family.ts";
import { exportGguf, importGguf } from "../../src/models/gguf/files.ts";
import { ggufLayouts } from "../../src/models/gguf/layout.ts";
import { families } from "../../src/models/index.ts";
import { loadModel } from "../../src/models/load.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
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

/**
 * Largest difference of a probability, relative to it. In float32 llama.cpp is exact but for GELU, which it looks up in
 * a table of float16; with other weights it also rounds what they are multiplied by, to 8 bits for blocks.
 */
const tolerances: readonly (readonly [GgufDtype, number])[] = [
  ["F32", 0.002],
  ["F16", 0.005],
  ["BF16", 0.05],
  ["Q8_0", 0.1],
  ["Q4_0", 0.1],
];

const exported = Object.entries<ModelFamily>(families).filter(([, family]) =>
  ggufLayouts.some(({ modelType }) => modelType === family.modelType),
);

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

  describe.each(exported)("%s", (name, family) => {
    test.each(tolerances)("as %s", async (dtype, tolerance) => {
      const [original, file, back] = [name, `${name}-${dtype}.gguf`, `${name}-${dtype}`].map((x) => join(folder, x));
      // Weights far from 0, so that the model prefers some tokens to others.
      await writeSmallModel(original!, family, {
        initializer_range: 0.1,
        n_positions: 64,
        max_position_embeddings: 64,
      });
      await exportGguf(original!, file!, dtype);
      await importGguf(file!, back!);
      const theirs = await peer.ask<Answer>({ model: file, text, count });
      expect(theirs.ids).toEqual([...tokenizer.encode(text)]);
      const ours = await continued(back!, theirs);
      const furthest = ours[0]!.map((p, id) => Math.abs((theirs.probabilities[id] ?? 0) / p - 1));
      const shortfall = theirs.continuation.map((id, step) => 1 - ours[step]![id]! / Math.max(...ours[step]!));
      expect(Math.max(...furthest)).toBeLessThan(tolerance);
      // Two tokens may be as probable as each other: theirs is ours, or nearly as probable.
      expect(Math.max(...shortfall)).toBeLessThan(tolerance);
    });
  });
});

/** Probabilities of the next token that a model folder gives at each step of a continuation. */
async function continued(path: string, { ids, continuation }: Answer): Promise<number[][]> {
  const { model } = await loadModel(path, backend);
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
