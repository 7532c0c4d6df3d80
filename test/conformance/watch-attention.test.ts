import { expect, test } from "vitest";
import { watchAttention } from "../../src/backend/watch-attention.ts";
import { apply } from "../../src/tensor/op.ts";
import { attention } from "../../src/tensor/ops/attention.ts";
import { randomTensor } from "../exact.ts";
import { backends } from "../parity/backends.ts";

const withKernel = backends.filter(([, { fused }]) => "attention" in fused);

test.each(withKernel)("%s: weights are those that mix the values; what is hidden has none", async (_, backend) => {
  const watched = watchAttention(backend);
  const random = (shape: readonly number[], seed: number) => randomTensor(shape, seed, watched.backend);
  const [query, key, value] = [random([2, 3, 8], 1), random([2, 5, 4], 2), random([2, 5, 4], 3)];
  const attrs = { heads: 4, keyValueHeads: 2, scale: 0.7, mask: { causal: true, queryStarts: Int32Array.of(0, 2) } };
  const out = await apply(attention, [query, key, value, null], { ...attrs, dropout: null }).read();
  const [map, ...more] = await watched.takeMaps();
  if (!map) throw new Error("attention was not seen");
  expect([map.batch, map.heads, map.queries, map.keys, more.length]).toEqual([2, 4, 3, 5, 0]);
  const values = await value.read();
  const weight = (b: number, h: number, i: number, j: number): number =>
    map.weights[((b * 4 + h) * 3 + i) * 5 + j] ?? Number.NaN;
  for (const [at, expected] of out.entries()) {
    const [d, h, i, b] = [at % 2, Math.floor(at / 2) % 4, Math.floor(at / 8) % 3, Math.floor(at / 24)];
    const mixed = [0, 1, 2, 3, 4].reduce(
      (sum, j) => sum + weight(b, h, i, j) * (values[(b * 5 + j) * 4 + (h >> 1) * 2 + d] ?? 0),
      0,
    );
    expect(mixed).toBeCloseTo(expected, 5);
    expect([0, 1, 2, 3, 4].reduce((sum, j) => sum + weight(b, h, i, j), 0)).toBeCloseTo(1, 5);
  }
  expect(weight(0, 0, 0, 1)).toBe(0);
  expect(weight(1, 0, 0, 2)).toBeGreaterThan(0);
});

test.each(withKernel)("%s: a watcher that was stopped makes no maps, and goes on when started", async (_, backend) => {
  const watched = watchAttention(backend);
  const one = (seed: number) => randomTensor([1, 2, 4], seed, watched.backend);
  const attrs = { heads: 2, keyValueHeads: 2, scale: 1, mask: { causal: true }, dropout: null };
  const compute = async () => apply(attention, [one(1), one(2), one(3), null], attrs).read();
  const before = await compute();
  watched.stop();
  expect(await compute()).toEqual(before);
  expect((await watched.takeMaps()).length).toBe(1);
  expect(await watched.takeMaps()).toEqual([]);
  watched.start();
  await compute();
  const [map] = await watched.takeMaps();
  expect(map?.weights.slice(0, 2)).toEqual(Float32Array.of(1, 0));
});
