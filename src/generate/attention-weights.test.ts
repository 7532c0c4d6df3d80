import { expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { watchAttention } from "../backend/watch-attention.ts";
import { Random } from "../core/random.ts";
import { t5 } from "../models/encoder-decoders/t5.ts";
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

test("an encoder-decoder's encoder comes first, then its decoder, which looks at itself and at the text in turn", async () => {
  const watched = watchAttention(openReference());
  const shape = { vocabularySize: 11, context: 8, width: 12, layers: 2, heads: 3, dropout: 0 };
  const model = t5.create(t5.shaped(shape), new Initializer(watched.backend, new Random(5)));
  const source = Int32Array.of(3, 1, 4, 1);
  const target = Int32Array.of(0, 5, 9);
  const maps = await attentionWeights(watched, null, () => {
    const text = model.encode(Tensor.from(watched.backend, source, [1, 4]), Int32Array.of(3));
    model.decode(Tensor.from(watched.backend, target, [1, 3]), text);
  });
  expect(maps.map(({ queries, keys }) => [queries, keys])).toEqual([
    ...[
      [4, 4],
      [4, 4],
    ],
    ...[
      [3, 3],
      [3, 4],
      [3, 3],
      [3, 4],
    ],
  ]);
  for (const { heads, queries, keys, weights } of maps) {
    for (let row = 0; row < heads * queries; row++) {
      const own = weights.subarray(row * keys, (row + 1) * keys);
      expect(own.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 5);
      if (keys === 4)
        expect(own[3]).toBe(0); // padding
      else expect(own.subarray((row % queries) + 1).every((weight) => weight === 0)).toBe(true);
    }
  }
});
