import { describe, expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { leaf, randomTensor, read, tensor } from "../../../test/exact.ts";
import { Random } from "../../core/random.ts";
import { composeGap, functionGradientGap, gradientGap } from "../check-op.ts";
import { apply } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import type { AttentionAttrs } from "./attention.ts";
import { attention, selfAttention } from "./attention.ts";
import type { AttentionMask } from "./attention-mask.ts";
import { isVisible } from "./attention-mask.ts";

const int = (...values: number[]): Int32Array => Int32Array.from(values);
const attrs = (mask: AttentionMask, more: Partial<AttentionAttrs> = {}): AttentionAttrs => ({
  heads: 2,
  keyValueHeads: 2,
  scale: 0.7,
  mask,
  dropout: null,
  ...more,
});

/** For 2 sequences of 3 queries and 3 keys. */
const masks: Record<string, AttentionMask> = {
  everything: { causal: false },
  causal: { causal: true },
  "causal from a start": { causal: true, queryStarts: int(1, 0) },
  prefix: { causal: true, prefixLengths: int(2, 0) },
  "key lengths": { causal: false, keyLengths: int(1, 3) },
  "causal with key lengths": { causal: true, keyLengths: int(2, 1) },
  windows: { causal: true, firstKeys: int(0, 0, 1, 0, 1, 1) },
  "documents seen both ways": { causal: false, firstKeys: int(0, 0, 2, 0, 1, 1) },
  "queries that see nothing": { causal: true, firstKeys: int(0, 2, 0, 1, 1, 3) },
  "no keys": { causal: false, keyLengths: int(0, 2) },
  "all rules": {
    causal: true,
    queryStarts: int(0, 1),
    prefixLengths: int(2, 1),
    keyLengths: int(3, 2),
    firstKeys: int(0, 1, 1, 0, 0, 1),
  },
};

describe("values", () => {
  test("one query weighs two values by their scores", async () => {
    const [query, key] = [tensor([1, 0], [1, 1, 2]), tensor([Math.log(3), 5, 0, 9], [1, 2, 2])];
    const value = tensor([1, 2, 5, 6], [1, 2, 2]);
    const y = apply(
      attention,
      [query, key, value, null],
      attrs({ causal: false }, { heads: 1, keyValueHeads: 1, scale: 1 }),
    );
    expectClose(await read(y), [2, 3], { absolute: 1e-6, relative: 0 });
  });

  test("grouped heads share keys and values", async () => {
    const query = randomTensor([1, 3, 8]); // 4 heads of 2
    const [key, value] = [randomTensor([1, 3, 4], 2), randomTensor([1, 3, 4], 3)]; // 2 heads of 2
    const repeat = (x: Tensor): Tensor => {
      const heads = x.reshape([1, 3, 2, 1, 2]);
      return heads.add(heads.mul(0).add(x.filled([2, 1], 0))).reshape([1, 3, 8]);
    };
    const grouped = apply(attention, [query, key, value, null], attrs({ causal: true }, { heads: 4 }));
    const repeated = [query, repeat(key), repeat(value), null] as const;
    const full = apply(attention, [...repeated], attrs({ causal: true }, { heads: 4, keyValueHeads: 4 }));
    expectClose(await read(grouped), await read(full));
  });

  test("a query that sees no key gives zeros", async () => {
    const y = apply(selfAttention, [randomTensor([2, 3, 12]), null], attrs(masks["no keys"]!));
    const values = await read(y);
    expect(values.slice(0, 12)).toEqual(new Array(12).fill(0));
    expect(values.slice(12)).not.toContain(0);
  });

  test("what is hidden may be anything, even not a number", async () => {
    const packed = randomTensor([1, 3, 12]);
    const spoiled = leaf(packed.copy());
    packed.backend.write(spoiled.storage, 2 * 12 + 4, new Float32Array(8).fill(Number.NaN));
    const mask = { causal: false, keyLengths: int(2) };
    const y = apply(selfAttention, [spoiled, null], attrs(mask));
    expectClose(await read(y), await read(apply(selfAttention, [packed, null], attrs(mask))));
    y.sum().backward();
    expect((await read(spoiled.grad)).every(Number.isFinite)).toBe(true);
  });

  test("packed and separate projections give the same", async () => {
    const packed = randomTensor([2, 3, 12]);
    const [query, key, value] = [0, 4, 8].map((at) => packed.slice(-1, at, at + 4)) as [Tensor, Tensor, Tensor];
    const separate = apply(attention, [query, key, value, null], attrs({ causal: true }));
    expectClose(await read(apply(selfAttention, [packed, null], attrs({ causal: true }))), await read(separate));
  });
});

describe.each(Object.entries(masks))("%s", (_, mask) => {
  const packed = randomTensor([2, 3, 12], 1);
  const bias = randomTensor([2, 3, 3], 2);

  test("gradients", async () => {
    expect(await gradientGap(selfAttention, [packed, null], attrs(mask))).toBeLessThan(1e-8);
    expect(await gradientGap(selfAttention, [packed, bias], attrs(mask))).toBeLessThan(1e-8);
  });

  test("fused is the same as composed", async () => {
    expect(await composeGap(selfAttention, [packed, bias], attrs(mask))).toBeLessThan(1e-12);
    expect(
      await composeGap(selfAttention, [randomTensor([2, 3, 16]), bias], attrs(mask, { keyValueHeads: 1 })),
    ).toBeLessThan(1e-12);
  });

  test("the mask is the one that isVisible tells", async () => {
    // Values one-hot by key: the result shows the weights themselves.
    const query = randomTensor([2, 3, 6]);
    const value = tensor(
      [...Array(2).keys()].flatMap(() => [0, 1, 2].flatMap((j) => onehot(j, 3).concat(onehot(j, 3)))),
      [2, 3, 6],
    );
    const weights = await read(apply(attention, [query, randomTensor([2, 3, 6], 2), value, null], attrs(mask)));
    const seen = weights.map((weight) => weight > 0);
    const expected = [0, 1].flatMap((b) =>
      [0, 1, 2].flatMap((i) => [0, 1].flatMap(() => [0, 1, 2].map((j) => isVisible(mask, b, i, j, 3)))),
    );
    expect(seen).toEqual(expected);
  });
});

describe("queries with keys of their own", () => {
  const [query, key, value] = [randomTensor([2, 3, 8], 1), randomTensor([2, 5, 4], 2), randomTensor([2, 5, 4], 3)];
  const grouped = { heads: 4, keyValueHeads: 2 };
  const cached: AttentionMask = { causal: true, queryStarts: int(2, 1), keyLengths: int(5, 4) };

  test.each([{ causal: false }, cached])("gradients %#", async (mask) => {
    const bias = randomTensor([4, 3, 5], 4);
    expect(await gradientGap(attention, [query, key, value, bias], attrs(mask, grouped))).toBeLessThan(1e-8);
    expect(await composeGap(attention, [query, key, value, bias], attrs(mask, grouped))).toBeLessThan(1e-12);
  });

  test("a sequence attending to itself through one tensor", async () => {
    const x = randomTensor([1, 3, 4]);
    const body = (): Tensor => apply(attention, [x, x, x, null], attrs({ causal: true }));
    expect(await functionGradientGap(body, [x])).toBeLessThan(1e-8);
  });
});

describe("how products become scores", () => {
  const packed = randomTensor([2, 3, 12], 1);
  const [query, key, value] = [randomTensor([2, 2, 8], 1), randomTensor([2, 5, 8], 2), randomTensor([2, 5, 8], 3)];
  const cached: AttentionMask = { causal: true, queryStarts: int(3, 1), keyLengths: int(5, 3) };
  const slopes = tensor([0.5, 0.125], [2]);

  test.each([{ cap: 1.5 }, { slopes }, { cap: 0.8, slopes }])("gradients, and fused as composed %#", async (more) => {
    const own = attrs({ causal: true }, more);
    const bias = randomTensor([2, 3, 3], 2);
    expect(await gradientGap(selfAttention, [packed, bias], own)).toBeLessThan(1e-8);
    expect(await composeGap(selfAttention, [packed, bias], own)).toBeLessThan(1e-12);
    expect(await gradientGap(attention, [query, key, value, null], attrs(cached, more))).toBeLessThan(1e-8);
    expect(await composeGap(attention, [query, key, value, null], attrs(cached, more))).toBeLessThan(1e-12);
  });

  test("a capped score", async () => {
    const one = { heads: 1, keyValueHeads: 1, scale: 2, cap: 3 };
    const [q, k, v] = [tensor([1], [1, 1, 1]), tensor([4, 0], [1, 2, 1]), tensor([1, 0], [1, 2, 1])];
    const y = apply(attention, [q, k, v, null], attrs({ causal: false }, one));
    const score = 3 * Math.tanh((2 * 4) / 3);
    expectClose(await read(y), [Math.exp(score) / (Math.exp(score) + 1)], { absolute: 1e-6, relative: 0 });
  });

  test("a slope lowers the score of a key by its distance, counted from where a cache ends", async () => {
    const one = { heads: 1, keyValueHeads: 1, slopes: tensor([0.25], [1]) };
    const [q, k, v] = [tensor([0], [1, 1, 1]), tensor([0, 0, 0], [1, 3, 1]), tensor([1, 0, 0], [1, 3, 1])];
    const y = apply(attention, [q, k, v, null], attrs({ causal: true, queryStarts: int(2) }, one));
    const weights = [Math.exp(-0.5), Math.exp(-0.25), 1];
    expectClose(await read(y), [weights[0]! / weights.reduce((a, b) => a + b)], { absolute: 1e-6, relative: 0 });
  });

  test("slopes are one for each head", () => {
    expect(() => apply(selfAttention, [packed, null], attrs({ causal: true }, { slopes: tensor([1], [1]) }))).toThrow(
      "attention: slopes [1] must be [2], one for each head",
    );
  });
});

describe("dropout of weights", () => {
  const dropout = { rate: 0.4, draw: new Random(3).draw() };

  test("gradients, and the same elements as composed", async () => {
    const packed = randomTensor([2, 3, 16]);
    const some = attrs({ causal: true }, { keyValueHeads: 1, dropout });
    const wide = randomTensor([2, 3, 16]);
    expect(await gradientGap(selfAttention, [packed, null], { ...some, heads: 2 })).toBeLessThan(1e-8);
    expect(await composeGap(selfAttention, [wide, randomTensor([2, 3, 3], 2)], some)).toBeLessThan(1e-12);
  });
});

test("a bias alone may be trained", async () => {
  const bias = leaf(randomTensor([2, 3, 3]));
  const packed = randomTensor([1, 3, 12]);
  apply(selfAttention, [packed, bias], attrs({ causal: true }))
    .map("square")
    .sum()
    .backward();
  expect(packed.grad).toBeNull();
  expect(bias.grad?.shape).toEqual([2, 3, 3]);
});

function onehot(at: number, length: number): number[] {
  return Array.from({ length }, (_, i) => (i === at ? 1 : 0));
}
