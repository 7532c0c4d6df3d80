import { describe, expect, test } from "vitest";
import { exact, ids, read, tensor } from "../../test/exact.ts";
import { openReference } from "../backend/reference/index.ts";
import { ShapeError } from "../core/errors.ts";
import { Tensor } from "./tensor.ts";

const x = tensor([1, 2, 3, 4, 5, 6], [2, 3]);

describe("making and reading", () => {
  test("float32 and int32, by the kind of values", async () => {
    expect([x.dtype, x.size, x.axis(-1), x.axis(0)]).toEqual(["float32", 6, 3, 2]);
    expect([ids([1, 2]).dtype, await ids([1, 2]).read()]).toEqual(["int32", Int32Array.of(1, 2)]);
    expect(await Tensor.from(openReference(), [0.1], [1]).read()).toEqual(Float32Array.of(0.1));
  });

  test("full, blank, filled, copy", async () => {
    expect(await read(Tensor.full(exact, [2], 7))).toEqual([7, 7]);
    expect(await read(x.filled([2], -1))).toEqual([-1, -1]);
    expect(x.blank([4], "int32").dtype).toBe("int32");
    const copy = x.copy();
    expect([await read(copy), copy.storage === x.storage]).toEqual([[1, 2, 3, 4, 5, 6], false]);
  });

  test("write replaces the values, also of a window", async () => {
    const y = x.copy();
    y.window(2, [2]).write(Float32Array.of(30, 40));
    expect(await read(y)).toEqual([1, 2, 30, 40, 5, 6]);
  });

  test("what is read is a copy", async () => {
    const values = await x.read();
    values[0] = 100;
    expect((await x.read())[0]).toBe(1);
  });

  test("floats are the caller's own, of integers there are none", async () => {
    for (const precision of ["float32", "float64"] as const) {
      const x = Tensor.from(openReference({ precision }), [0.1, -2], [2]);
      const floats = await x.floats();
      expect(floats).toEqual(Float32Array.of(0.1, -2));
      floats[0] = 7;
      expect(await x.floats()).toEqual(Float32Array.of(0.1, -2));
    }
    await expect(Tensor.from(openReference(), Int32Array.of(1), [1]).floats()).rejects.toThrow(
      "floats: the tensor holds int32; use read() for integers",
    );
  });

  test("item", async () => {
    expect(await tensor([7], [1, 1]).item()).toBe(7);
    await expect(x.item()).rejects.toThrow(new ShapeError("item: the tensor has 6 elements, [2, 3]"));
  });
});

describe("errors", () => {
  test("values that do not fill the shape", () => {
    expect(() => tensor([1, 2], [3])).toThrow(new ShapeError("Tensor.from: 2 values do not fill [3]"));
    expect(() => x.write(Float32Array.of(1))).toThrow(new ShapeError("write: 1 values do not fill [2, 3]"));
  });

  test("integers where numbers are wanted, and the other way round", () => {
    expect(() => ids([1, 2]).add(1)).toThrow(ShapeError);
    expect(() => tensor([1]).write(Int32Array.of(1))).toThrow(
      /float32 memory cannot be written from 1 elements of Int32Array/,
    );
  });

  test("an axis that does not exist", () => {
    expect(() => x.axis(2)).toThrow(new ShapeError("axis: axis 2 does not exist in [2, 3]"));
  });
});

test("sumTo undoes broadcasting", async () => {
  expect(await read(x.sumTo([3]))).toEqual([5, 7, 9]);
  expect(await read(x.sumTo([2, 1]))).toEqual([6, 15]);
  expect(await read(x.sumTo([]))).toEqual([21]);
  expect(x.sumTo([2, 3]).storage).toBe(x.storage);
});

test("integers are ids, and no op takes them for numbers", () => {
  const ids = Tensor.from(openReference(), Int32Array.of(1, 2, 3, 4), [2, 2]);
  for (const use of [() => ids.add(1), () => ids.sum(), () => ids.slice(0, 0, 1), () => ids.permute([1, 0])]) {
    expect(use).toThrow(/input 1 holds int32, float32 is needed/);
  }
  expect(() => ids.copy()).toThrow("copy: holds int32, float32 is needed");
});
