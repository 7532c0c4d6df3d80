import { expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { randomTensor, read, tensor } from "../../../test/exact.ts";
import { composeGap, gradientGap } from "../check-op.ts";
import { apply } from "../op.ts";
import { gatedUnit } from "./gated-unit.ts";

test("the activated gate multiplies the value", async () => {
  const y = apply(gatedUnit, [tensor([-1, 2, 3, 5], [1, 4])], { activation: "relu" });
  expect(y.shape).toEqual([1, 2]);
  expectClose(await read(y), [0, 10]);
});

test.each(["silu", "geluTanh", "gelu", "tanh"] as const)("gradient and compose of %s", async (activation) => {
  const x = randomTensor([2, 3, 8]);
  expect(await gradientGap(gatedUnit, [x], { activation })).toBeLessThan(1e-8);
  expect(await composeGap(gatedUnit, [x], { activation })).toBeLessThan(1e-12);
});

test("an odd width is refused", () => {
  expect(() => apply(gatedUnit, [randomTensor([2, 3])], { activation: "silu" })).toThrow(
    "gatedUnit: x [2, 3] must hold gate and value side by side, an even width",
  );
});
