import { expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import type { WeightFormatName } from "../backend/storage.ts";
import { weightFormats } from "../backend/weight-formats.ts";
import { UnsupportedError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { apply, asInTraining, withoutGradients } from "./op.ts";
import { linearCrossEntropy } from "./ops/cross-entropy.ts";
import { groupedLinear } from "./ops/groups.ts";
import { linear } from "./ops/matmul.ts";
import { recomputed } from "./recompute.ts";
import { Tensor } from "./tensor.ts";

const formats = Object.keys(weightFormats) as WeightFormatName[];
const backend = openReference();
const composing = openReference({ fused: false });

function normal(shape: readonly number[], seed: number, on = backend): Tensor {
  const size = shape.reduce((product, length) => product * length, 1);
  return Tensor.from(on, new Random(seed).normal(size), shape);
}

/** A matrix in a format, and the same numbers as float32. */
async function both(format: WeightFormatName, shape: readonly number[], on = backend): Promise<[Tensor, Tensor]> {
  const stored = Tensor.empty(on, shape, format);
  stored.write(await normal(shape, 9).floats());
  return [stored, Tensor.from(on, await stored.floats(), shape)];
}

/** Value and gradient of a function of x. */
async function outcome(x: Tensor, body: (x: Tensor) => Tensor): Promise<(Float32Array | null)[]> {
  const leaf = x.copy();
  leaf.requiresGrad = true;
  const out = body(leaf).keep();
  out.sum().backward();
  return [await out.floats(), (await leaf.grad?.floats()) ?? null];
}

test.each(formats)("%s is read by products, both ways round, as what it decodes to", async (format) => {
  const [stored, plain] = await both(format, [64, 256]);
  const x = normal([5, 256], 1);
  const targets = Tensor.from(backend, Int32Array.of(3, 60, 0, -1, 7), [5]);
  const bodies = [
    (weight: Tensor) => (of: Tensor) => apply(linear, [of, weight, null, null], { activation: "gelu" as const }),
    (weight: Tensor) => (of: Tensor) => of.matmul(weight, { transposeB: true }),
    (weight: Tensor) => (of: Tensor) => apply(linearCrossEntropy, [of, weight], { targets, scale: 0.25 }),
  ];
  for (const body of bodies) expect(await outcome(x, body(stored))).toEqual(await outcome(x, body(plain)));
  expect(await (await both(format, [64, 256]))[0].copy().floats()).toEqual(await plain.floats());
});

test.each(formats)("%s is read by groups, fused and composed", async (format) => {
  const groupOf = Int32Array.of(0, 0, 2);
  for (const on of [backend, composing]) {
    const [stored, plain] = await both(format, [3, 4, 256], on);
    const [x, groups] = [normal([3, 256], 1, on), Tensor.from(on, groupOf, [3])];
    const body = (weight: Tensor) => (of: Tensor) => apply(groupedLinear, [of, weight, groups], undefined);
    expect(await outcome(x, body(stored))).toEqual(await outcome(x, body(plain)));
  }
});

test("rows are rounded for blocks of weights where results are all that is wanted, and nowhere in training", async () => {
  for (const format of formats) {
    const [stored] = await both(format, [64, 256]);
    const x = normal([20, 256], 1);
    x.requiresGrad = true;
    const product = (of: Tensor): Tensor => of.matmul(stored, { transposeB: true });
    const exact = await product(x).floats();
    expect(await asInTraining(() => product(x)).floats()).toEqual(exact);
    expect(await recomputed(product, x).floats()).toEqual(exact);
    const rounded = await withoutGradients(() => product(x)).floats();
    const size = Math.hypot(...exact);
    const error = Math.hypot(...rounded.map((value, i) => value - (exact[i] ?? Number.NaN))) / size;
    expect(error > 1e-3, format).toBe(weightFormats[format].block > 1);
    expect(error, format).toBeLessThan(0.01);
  }
});

test("weights in a format are frozen, and nothing else computes with them", async () => {
  const [stored] = await both("q8_0", [4, 32]);
  const x = normal([2, 32], 1);
  expect(() => stored.add(1)).toThrow(UnsupportedError);
  expect(() => stored.matmul(x, { transposeB: true })).toThrow(UnsupportedError);
  stored.requiresGrad = true;
  expect(() => x.matmul(stored, { transposeB: true })).toThrow(/frozen/);
});
