import { describe, expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { leaf, randomTensor, read, tensor } from "../../../test/exact.ts";
import { openReference } from "../../backend/reference/index.ts";
import { ShapeError } from "../../core/errors.ts";
import { composeGap, functionGradientGap, gradientGap } from "../check-op.ts";
import { apply } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { layerNorm, rmsNorm } from "./norm.ts";

const attrs = { epsilon: 1e-5 };

test("layerNorm", async () => {
  const y = apply(layerNorm, [tensor([1, 3, -2, 2], [2, 2]), tensor([2, 3]), tensor([0.5, 0])], { epsilon: 0 });
  expectClose(await read(y), [-1.5, 3, -1.5, 3]);
  const close = apply(layerNorm, [tensor([1, 3]), tensor([1, 1]), tensor([0, 0])], { epsilon: 3 });
  expectClose(await read(close), [-0.5, 0.5]);
});

test("rmsNorm", async () => {
  const y = apply(rmsNorm, [tensor([1, 7, 0, 5], [2, 2]), tensor([2, 3])], { epsilon: 0 });
  expectClose(await read(y), [0.4, 4.2, 0, 3 * Math.SQRT2]);
});

test("layerNorm without gain or bias, and with a row for each sample", async () => {
  const x = tensor([1, 3, -2, 2, 4, 6], [3, 1, 2]);
  expectClose(await read(apply(layerNorm, [x, null, null], { epsilon: 0 })), [-1, 1, -1, 1, -1, 1]);
  const [gain, bias] = [tensor([1, 2, 3, 4, 5, 6], [3, 2]), tensor([0, 0, 10, 10, 20, 20], [3, 2])];
  expectClose(await read(apply(layerNorm, [x, gain, bias], { epsilon: 0 })), [-1, 2, 7, 14, 15, 26]);
  expectClose(await read(apply(layerNorm, [x, null, bias], { epsilon: 0 })), [-1, 1, 9, 11, 19, 21]);
});

test.each([
  ["no gain, no bias", null, null],
  ["no gain", null, randomTensor([4], 3)],
  ["no bias", randomTensor([4], 2), null],
  ["a row for each sample", randomTensor([2, 4], 2), randomTensor([2, 4], 3)],
  ["a row for each sample, no bias", randomTensor([2, 4], 2), null],
])("layerNorm with %s", async (_, gain, bias) => {
  const x = randomTensor([2, 3, 4], 1);
  expect(await gradientGap(layerNorm, [x, gain, bias], attrs)).toBeLessThan(1e-8);
  expect(await composeGap(layerNorm, [x, gain, bias], attrs)).toBeLessThan(1e-12);
});

test("errors", () => {
  const message = "layerNorm: gain and bias must be one row of [2, 3], got [2]";
  const row = randomTensor([3]);
  expect(() => apply(layerNorm, [randomTensor([2, 3]), row, randomTensor([2])], attrs)).toThrow(
    new ShapeError(message),
  );
  const [two, three] = [randomTensor([2, 3]), randomTensor([3, 3])];
  expect(() => apply(layerNorm, [two, three, null], attrs)).toThrow(ShapeError);
  expect(() => apply(layerNorm, [two, two, row], attrs)).toThrow(ShapeError);
  expect(() => apply(rmsNorm, [randomTensor([]), row], attrs)).toThrow(ShapeError);
});

describe.each([[[5]], [[3, 4]], [[2, 3, 4]], [[2, 1]]])("x %j", (shape) => {
  const x = randomTensor(shape, 1);
  const [gain, bias] = [randomTensor(shape.slice(-1), 2), randomTensor(shape.slice(-1), 3)];

  test("gradients", async () => {
    expect(await gradientGap(layerNorm, [x, gain, bias], attrs)).toBeLessThan(1e-8);
    expect(await gradientGap(rmsNorm, [x, gain], attrs)).toBeLessThan(1e-8);
  });

  test("fused is the same as composed", async () => {
    expect(await composeGap(layerNorm, [x, gain, bias], attrs)).toBeLessThan(1e-12);
    expect(await composeGap(rmsNorm, [x, gain], attrs)).toBeLessThan(1e-12);
  });
});

describe.each([
  ["fused", openReference({ precision: "float64" })],
  ["composed", openReference({ precision: "float64", fused: false })],
])("%s", (_, backend) => {
  const [x, gain, bias] = [1, 2, 3].map((seed) => randomTensor([4], seed, backend)) as [Tensor, Tensor, Tensor];

  test("a residual around the norm: its gradient is added in place", async () => {
    const body = (): Tensor => x.add(apply(layerNorm, [x, gain, bias], attrs)).add(apply(rmsNorm, [x, gain], attrs));
    expect(await functionGradientGap(body, [x, gain, bias])).toBeLessThan(1e-8);
  });

  test.each([0, 1, 2])("only operand %d is trained", async (trained) => {
    const operands = [x, gain, bias].map((t) => t.detach()) as [Tensor, Tensor, Tensor];
    const all = [x, gain, bias].map((t) => leaf(t.detach())) as [Tensor, Tensor, Tensor];
    leaf(operands[trained]!);
    for (const some of [operands, all]) apply(layerNorm, some, attrs).map("square").sum().backward();
    expectClose(await read(operands[trained]!.grad), await read(all[trained]!.grad));
    expect(operands.filter((operand) => operand.grad !== null)).toHaveLength(1);
  });
});
