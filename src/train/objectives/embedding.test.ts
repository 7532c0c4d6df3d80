import { expect, test } from "vitest";
import { randomTensor, read } from "../../../test/exact.ts";
import { concat } from "../../tensor/ops/movement.ts";
import { cosentLoss, inBatchLoss } from "./embedding.ts";

test("a candidate that is right for an anchor, too, is not among its negatives", async () => {
  const anchors = randomTensor([2, 3], 1);
  const positives = randomTensor([2, 3], 2);
  const both = concat([positives, positives.slice(0, 0, 1)], 0);
  const fenced = inBatchLoss(anchors, both, 20, (i, j) => !(i === 0 && j === 2));
  // For the first anchor its double does not count, for the second it is a negative like any other.
  const [alone, all] = [inBatchLoss(anchors.slice(0, 0, 1), positives, 20), inBatchLoss(anchors, both, 20)];
  const [first = 0] = await read(alone);
  const ofFirst = inBatchLoss(anchors.slice(0, 0, 1), both, 20);
  const expected = ((await read(all))[0] ?? 0) + (first - ((await read(ofFirst))[0] ?? 0)) / 2;
  expect((await read(fenced))[0]).toBeCloseTo(expected, 10);
});

test("rows of one score have no order to learn", async () => {
  const x = randomTensor([2, 3], 1);
  expect(await read(cosentLoss(x, randomTensor([2, 3], 2), Float32Array.of(1, 1), 20))).toEqual([0]);
});
