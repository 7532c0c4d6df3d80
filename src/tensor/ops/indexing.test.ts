import { expect, test } from "vitest";
import { ids, leaf, randomTensor, read, tensor } from "../../../test/exact.ts";
import { DataError, ShapeError } from "../../core/errors.ts";
import { gradientGap } from "../check-op.ts";
import { apply } from "../op.ts";
import { gatherRows, pick, scatterRows } from "./indexing.ts";

const table = tensor([1, 2, 3, 4, 5, 6], [3, 2]);

test("rows by id; a negative id gives zeros", async () => {
  const rows = table.gatherRows(ids([2, -1, 0, 2], [2, 2]));
  expect(rows.shape).toEqual([2, 2, 2]);
  expect(await read(rows)).toEqual([5, 6, 0, 0, 1, 2, 5, 6]);
});

test("one element of each row; a negative id gives 0", async () => {
  expect(await read(table.pick(ids([1, -100, 0])))).toEqual([2, 0, 5]);
  expect(await read(table.reshape([3, 1, 2]).pick(ids([1, 0, 1], [3, 1])))).toEqual([2, 3, 6]);
  expect(await read(tensor([4, 5, 6]).pick(ids([1], [])))).toEqual([5]);
});

test("ids beyond the end are refused, not read", () => {
  expect(() => table.gatherRows(ids([0, 3]))).toThrow(DataError);
  expect(() => table.gatherRows(ids([0, 3]))).toThrow(/id 3 at place 1 is not below 3/);
  expect(() => table.pick(ids([0, 1, 2]))).toThrow(/id 2 at place 2 is not below 2/);
});

test("sums of rows by id; a negative id leaves its row out", async () => {
  const y = apply(scatterRows, [tensor([1, 2, 3, 4, 5, 6], [3, 2]), ids([3, -1, 3])], { rows: 4 });
  expect(await read(y)).toEqual([0, 0, 0, 0, 0, 0, 6, 8]);
});

test("errors", () => {
  expect(() => table.gatherRows(tensor([0, 1]))).toThrow(
    new ShapeError("gatherRows: needs a table of 2 axes and int32 ids, got [3, 2] and float32 ids"),
  );
  expect(() => tensor([1, 2]).gatherRows(ids([0]))).toThrow(ShapeError);
  expect(() => table.pick(ids([0, 1]))).toThrow(
    new ShapeError("pick: needs one int32 id for each row, got int32 ids [2] for [3, 2]"),
  );
  expect(() => apply(scatterRows, [table, ids([0, 1])], { rows: 2 })).toThrow(ShapeError);
  expect(() => apply(scatterRows, [table, ids([0, 1, 2])], { rows: 2 })).toThrow(DataError);
  expect(() => table.pick(tensor([0, 1, 1]))).toThrow(/got float32 ids \[3\]/);
});

test("gradients", async () => {
  expect(await gradientGap(gatherRows, [randomTensor([4, 3]), ids([2, -1, 0, 2, 2])], undefined)).toBeLessThan(1e-8);
  expect(await gradientGap(scatterRows, [randomTensor([4, 3]), ids([2, -1, 0, 2])], { rows: 3 })).toBeLessThan(1e-8);
  expect(await gradientGap(pick, [randomTensor([2, 2, 3]), ids([0, 2, -1, 2], [2, 2])], undefined)).toBeLessThan(1e-8);
});

test("rows taken twice add their gradients, also across uses", async () => {
  const x = leaf(randomTensor([3, 2]));
  x.gatherRows(ids([1, 1]))
    .sum()
    .add(x.gatherRows(ids([1, 2])).sum())
    .add(x.pick(ids([0, -1, 1])).sum())
    .backward();
  expect(await read(x.grad)).toEqual([1, 0, 3, 3, 1, 2]);
});
