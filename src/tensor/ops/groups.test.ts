import { expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { ids, randomTensor, read, tensor } from "../../../test/exact.ts";
import { DataError, ShapeError } from "../../core/errors.ts";
import { composeGap, gradientGap } from "../check-op.ts";
import { apply } from "../op.ts";
import { groupedLinear, oneHot, sortByGroup } from "./groups.ts";

test("rows in the order of their groups, each as often as it was chosen", async () => {
  const { rows, places, groupOf } = sortByGroup([ids([2, 0, 2]), ids([0, 3, 1])], 4);
  expect(await read(groupOf)).toEqual([0, 0, 1, 2, 2, 3]);
  expect(await read(rows)).toEqual([1, 0, 2, 0, 2, 1]);
  expect(await read(places)).toEqual([1, 3, 5, 0, 2, 4]);
});

test("each row meets the matrix of its group", async () => {
  const x = tensor([1, 2, 3, 4, 5, 6], [3, 2]);
  const weight = tensor([1, 1, 10, 0, 100, 100], [3, 1, 2]);
  expectClose(await read(apply(groupedLinear, [x, weight, ids([0, 1, 1])], undefined)), [3, 30, 50]);
});

test.each([[[0, 0, 2, 2, 2]], [[1, 1, 1, 1, 1]], [[0, 1, 2, 3, 3]]])(
  "gradient and compose for groups %j",
  async (groupOf) => {
    const [x, weight] = [randomTensor([5, 3], 1), randomTensor([4, 2, 3], 2)];
    expect(await gradientGap(groupedLinear, [x, weight, ids(groupOf)], undefined)).toBeLessThan(1e-8);
    expect(await composeGap(groupedLinear, [x, weight, ids(groupOf)], undefined)).toBeLessThan(1e-12);
  },
);

test("one hot", async () => {
  expect(await read(oneHot(ids([2, 0]), 3))).toEqual([0, 0, 1, 1, 0, 0]);
});

test("errors", () => {
  expect(() => sortByGroup([ids([0, 4])], 4)).toThrow(DataError);
  expect(() => sortByGroup([ids([0, 1]), ids([0])], 4)).toThrow("got int32[2], int32[1]");
  expect(() => sortByGroup([tensor([0, 1])], 4)).toThrow(ShapeError);
  expect(() => apply(groupedLinear, [tensor([1, 2]), randomTensor([2, 1, 2]), ids([0])], undefined)).toThrow(
    "groupedLinear: x [2], weight [2, 1, 2] and int32 groups [1] do not fit",
  );
});
