import { expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { watchAttention } from "../backend/watch-attention.ts";
import { Random } from "../core/random.ts";
import { Gpt } from "../models/gpt.ts";
import { families } from "../models/index.ts";
import { Initializer, parameters } from "../nn/parameters.ts";
import { Tensor } from "../tensor/tensor.ts";
import { attentionWeights } from "./attention-weights.ts";

const ids = Int32Array.of(3, 1, 4, 1, 5);
const time = ids.length;

function newModel() {
  const watched = watchAttention(openReference());
  watched.stop();
  const shape = { vocabularySize: 11, context: 8, width: 12, layers: 3, heads: 3, dropout: 0 };
  const init = new Initializer(watched.backend, new Random(5));
  const model = families.gpt2.create(families.gpt2.shaped(shape), init);
  for (const [i, parameter] of [...parameters(model).values()].entries()) {
    parameter.write(new Random(6).child(i).normal(parameter.size, 0.4));
  }
  const pass = () => {
    model.forward(Tensor.from(watched.backend, ids, [1, time]));
  };
  return { watched, model, pass };
}

test("weights are softmax(query · key / √headDim) of the keys up to the query's own", async () => {
  const { watched, model, pass } = newModel();
  if (!(model instanceof Gpt)) throw new Error("not a GPT");
  const [first, ...others] = await attentionWeights(watched, null, pass);
  expect(others.length).toBe(2);
  const embedded = model.tokenEmbedding
    .gatherRows(Tensor.from(watched.backend, ids, [1, time]))
    .add(model.positionEmbedding.slice(0, 0, time));
  const block = model.blocks[0];
  if (!block || !first) throw new Error("no first block");
  const qkv = await block.attention.qkv.forward(block.attentionNorm.forward(embedded)).read();
  const dot = (head: number, query: number, key: number): number =>
    [0, 1, 2, 3].reduce((sum, d) => {
      const at = head * 4 + d;
      return sum + (qkv[query * 36 + at] ?? 0) * (qkv[key * 36 + 12 + at] ?? 0);
    }, 0);
  for (let head = 0; head < 3; head++) {
    for (let query = 0; query < time; query++) {
      const weights = Array.from({ length: query + 1 }, (_, key) => Math.exp(dot(head, query, key) / 2));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const row = first.weights.subarray((head * time + query) * time, (head * time + query + 1) * time);
      for (let key = 0; key < time; key++) expect(row[key]).toBeCloseTo((weights[key] ?? 0) / total, 5);
      expect(row.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 5);
    }
  }
});

test("only the layers that are wanted are looked at, and other passes not at all", async () => {
  const { watched, pass } = newModel();
  const all = await attentionWeights(watched, null, pass);
  pass();
  expect(await watched.takeMaps()).toEqual([]);
  const [second, ...others] = await attentionWeights(watched, new Set([1]), pass);
  expect(others).toEqual([]);
  expect(second).toEqual(all[1]);
});
