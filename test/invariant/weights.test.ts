import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openReference } from "../../src/backend/reference/index.ts";
import { isWeightFormat } from "../../src/backend/weight-formats.ts";
import { SettingsError } from "../../src/core/errors.ts";
import { openAssistant } from "../../src/generate/assistant.ts";
import { score } from "../../src/generate/score.ts";
import { exportGguf, importGguf } from "../../src/models/gguf/files.ts";
import { families } from "../../src/models/index.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import { loadModel } from "../../src/models/load.ts";
import { parameters } from "../../src/nn/parameters.ts";
import { asInTraining } from "../../src/tensor/op.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { writeSmallModel } from "../small-model.ts";

const names = ["gpt2", "llama", "mixtral"] as const;
const ids = [5, 17, 3, 40, 41, 8, 260, 1];

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "weights-"));
  for (const name of names) await writeSmallModel(join(root, name), families[name]);
});
afterAll(() => rm(root, { recursive: true }));

/** Log-probabilities of all but the first token, of what formats decode to: rows are not rounded. */
async function exactly(model: LanguageModel): Promise<Float32Array> {
  const count = ids.length - 1;
  const picked = asInTraining(() =>
    model
      .logits(model.forward(Tensor.from(model.backend, Int32Array.from(ids.slice(0, -1)), [1, count])))
      .reshape([count, -1])
      .logSoftmax()
      .pick(Tensor.from(model.backend, Int32Array.from(ids.slice(1)), [count])),
  );
  return picked.floats();
}

/** Log-probabilities, with rows rounded for blocks and without, and the formats of a model's matrices that are not float32. */
async function scored(path: string, weights: Parameters<typeof loadModel>[2]) {
  const { model } = await loadModel(path, openReference(), weights);
  const { logProbs } = await score(model, ids);
  const all = [...parameters(model)];
  const frozen = all.filter(([, parameter]) => isWeightFormat(parameter.dtype));
  expect(frozen.every(([, { requiresGrad }]) => !requiresGrad)).toBe(true);
  return {
    logProbs: logProbs.flatMap((value) => value ?? []),
    exact: [...(await exactly(model))],
    formats: new Set(frozen.map(([, { dtype }]) => dtype)),
  };
}

function largestGap(a: readonly number[], b: readonly number[]): number {
  return Math.max(...a.map((value, i) => Math.abs(value - (b[i] ?? Number.NaN))));
}

describe.each(names)("%s", (name) => {
  test.each(["BF16", "Q8_0", "Q4_0"] as const)("a GGUF file of %s in place is what its folder is", async (dtype) => {
    const file = join(root, `${name}-${dtype}.gguf`);
    const folder = join(root, `${name}-${dtype}`);
    await exportGguf(join(root, name), file, dtype);
    await importGguf(file, folder);
    const [own, decoded] = [await scored(file, "stored"), await scored(folder, "float32")];
    expect(largestGap(own.exact, decoded.logProbs)).toBeLessThan(1e-4);
    expect(largestGap(own.logProbs, own.exact)).toBeLessThan(0.01);
    expect(largestGap(own.logProbs, own.exact) > 1e-4).toBe(dtype !== "BF16");
    const expected = { BF16: ["bfloat16"], Q8_0: ["q8_0"], Q4_0: ["q4_0", "q8_0"] }; // the output layer of a file of Q4_0
    const narrow = name === "llama" && dtype !== "BF16" ? ["float16"] : []; // rows that are no whole blocks
    expect([...own.formats].sort()).toEqual([...narrow, ...expected[dtype]]);
  });

  test("a folder's matrices are rounded as asked for, and errors stay within what rounding does", async () => {
    const plain = await scored(join(root, name), "stored");
    expect(plain.formats.size).toBe(0);
    // Of logits that are a few tenths apart in a model that was never trained.
    for (const [choice, bound] of [
      ["bfloat16", 0.02],
      ["q8_0", 0.03],
      ["q4_0", 0.4],
    ] as const) {
      const rounded = await scored(join(root, name), choice);
      const gap = largestGap(rounded.logProbs, plain.logProbs);
      expect(gap).toBeGreaterThan(0);
      expect(gap).toBeLessThan(bound);
      expect(rounded.formats).toContain(choice);
    }
  });
});

test("a GGUF file has its tokenizer and chat template with it", async () => {
  const file = join(root, "told.gguf");
  await exportGguf(join(root, "llama"), file, "Q8_0");
  const [own, folder] = [
    await openAssistant(file, openReference(), "stored"),
    await openAssistant(join(root, "llama"), openReference()),
  ];
  const text = "In the beginning";
  expect([...own.encoder.tokenizer.encode(text)]).toEqual([...folder.encoder.tokenizer.encode(text)]);
  expect(own.encoder.template?.source).toBe(folder.encoder.template?.source);
  expect(own.encoder.endTokens()).toEqual(folder.encoder.endTokens());
});

test("a format whose blocks fill no row is refused, and says which does", async () => {
  const load = (choice: "q4_k" | "q6_k") => loadModel(join(root, "llama"), openReference(), choice);
  await expect(load("q4_k")).rejects.toThrow(
    "weights: q4_k has blocks of 256 numbers, rows of this model's matrices have 64, 176; take q5_0",
  );
  await expect(load("q6_k")).rejects.toThrow("have 64, 176; take q8_0");
});

test("a model without such matrices says so", async () => {
  await writeSmallModel(join(root, "lstm"), families.lstm);
  await expect(loadModel(join(root, "lstm"), openReference(), "q8_0")).rejects.toThrow(SettingsError);
  expect((await scored(join(root, "lstm"), "stored")).formats.size).toBe(0);
});
