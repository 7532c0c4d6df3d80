import { describe, expect, test } from "vitest";
import { leaf, randomTensor, read, tensor } from "../../test/exact.ts";
import { functionGradientGap } from "../tensor/check-op.ts";
import { poolStates } from "./pool-states.ts";
import { poolingModes } from "./sentence-modules.ts";
import { unitVectors } from "./unit-vectors.ts";

/** Two texts of 3 and 2 tokens, the second behind a prompt of one; the last state is padding's. */
const batch = {
  ids: new Int32Array(6),
  batch: 2,
  time: 3,
  lengths: Int32Array.of(3, 2),
  skipped: Int32Array.of(0, 1),
};
const states = [1, -2, 3, 4, 5, 0, 7, 8, 9, 10, 99, 99];

describe("states of tokens become one vector", () => {
  test.each([
    ["cls", [1, -2, 9, 10]],
    ["mean", [3, 2 / 3, 9, 10]],
    ["max", [5, 4, 9, 10]],
    ["mean_sqrt_len_tokens", [9 / Math.sqrt(3), 2 / Math.sqrt(3), 9, 10]],
    ["weightedmean", [(1 + 6 + 15) / 6, (-2 + 8) / 6, 9, 10]],
    ["lasttoken", [5, 0, 9, 10]],
  ] as const)("%s", async (mode, expected) => {
    const values = await read(poolStates(mode, tensor(states, [2, 3, 2]), batch));
    expected.forEach((value, i) => {
      expect(values[i]).toBeCloseTo(value, 6);
    });
  });

  test.each(poolingModes)("%s has the gradient of finite differences, with lengths of 1", async (mode) => {
    const x = leaf(randomTensor([2, 3, 2], 3));
    const weights = randomTensor([2, 2], 4);
    expect(await functionGradientGap(() => unitVectors(poolStates(mode, x, batch)).mul(weights), [x])).toBeLessThan(
      1e-8,
    );
  });
});

test("a vector of zeros stays one", async () => {
  expect(await read(unitVectors(tensor([0, 0, 3, 4], [2, 2])))).toEqual([0, 0, 0.6, 0.8].map((x) => expect.closeTo(x)));
});
