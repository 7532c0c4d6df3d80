import { expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { Random } from "../core/random.ts";
import type { ModelFamily, ModelShape } from "../models/family.ts";
import { families } from "../models/index.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { Initializer, parameters } from "../nn/parameters.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { LensSlice } from "./logit-lens.ts";
import { logitLens } from "./logit-lens.ts";

const backend = openReference();
const shape = { vocabularySize: 19, context: 8, width: 16, layers: 3, heads: 2, dropout: 0 };
const ids = Int32Array.of(3, 1, 4, 1, 5, 9);

const names = ["gpt1", "gpt2", "llama", "gemma2", "mixtral", "lstm"] as const;
type Name = (typeof names)[number];

/** Weights are far from their usual beginnings, so that norms and biases count. */
function newModel(name: Name, own: ModelShape): LanguageModel {
  const family: ModelFamily = families[name];
  const model = family.create(family.shaped(own), new Initializer(backend, new Random(7)));
  let draw = 0;
  for (const parameter of parameters(model).values()) {
    const noise = new Random(11).child(draw++).normal(parameter.size, 0.3);
    parameter.write(noise.map((value) => value + (parameter.shape.length === 1 ? 1 : 0)));
  }
  return model;
}

/** The model that ends behind its block `layers - 1`, with the same weights. */
async function cutModel(name: Name, whole: LanguageModel, layers: number): Promise<LanguageModel> {
  const cut = newModel(name, { ...shape, layers });
  const weights = parameters(whole);
  for (const [path, parameter] of parameters(cut)) {
    parameter.write(Float32Array.from((await weights.get(path)?.read()) ?? []));
  }
  return cut;
}

async function logProbsOf(model: LanguageModel): Promise<number[][]> {
  const all = await model
    .logits(model.forward(Tensor.from(backend, ids, [1, ids.length])))
    .logSoftmax()
    .read();
  const size = shape.vocabularySize;
  return Array.from(ids, (_, t) => [...all.subarray(t * size, (t + 1) * size)]);
}

async function lensOf(model: LanguageModel, alternatives: number): Promise<LensSlice[]> {
  const slices: LensSlice[] = [];
  for await (const slice of logitLens(model, ids, alternatives)) slices.push(slice);
  return slices;
}

test.each(names)("%s: behind each block it says what the model says that ends there", async (name) => {
  const model = newModel(name, shape);
  const slices = await lensOf(model, 3);
  expect(slices.map(({ layer, layers, first }) => [layer, layers, first])).toEqual([
    [0, 3, 0],
    [1, 3, 0],
    [2, 3, 0],
  ]);
  for (const { layer, tokens } of slices) {
    const expected = await logProbsOf(layer === 2 ? model : await cutModel(name, model, layer + 1));
    expect(tokens.length).toBe(ids.length);
    for (const [t, { token, logprob, top }] of tokens.entries()) {
      const row = expected[t] ?? [];
      const falling = [...row.keys()].sort((a, b) => (row[b] ?? 0) - (row[a] ?? 0));
      expect(token).toBe(ids[t + 1] ?? falling[0]);
      expect(logprob).toBeCloseTo(row[token] ?? Number.NaN, 4);
      expect(top.map((one) => one.token)).toEqual(falling.slice(0, 3));
      for (const one of top) expect(one.logprob).toBeCloseTo(row[one.token] ?? Number.NaN, 4);
    }
  }
});

test("a text without tokens and one longer than the context are refused", async () => {
  const model = newModel("llama", shape);
  const look = async (count: number) => {
    for await (const _ of logitLens(model, new Int32Array(count), 1)) break;
  };
  await expect(look(0)).rejects.toThrow("logit lens: the text has 0 tokens; give 1 to 8");
  await expect(look(9)).rejects.toThrow("logit lens: the text has 9 tokens; give 1 to 8");
  await look(8);
});
