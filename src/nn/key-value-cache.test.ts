import { expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { UnsupportedError } from "../core/errors.ts";
import { Tensor } from "../tensor/tensor.ts";
import { KeyValueCache } from "./key-value-cache.ts";

test("a cache that is larger than memory is refused before it is there", () => {
  const backend = { ...openReference(), memoryLeft: () => 1e8 };
  expect(() => new KeyValueCache(backend, { layers: 2, slots: 4, capacity: 100_000, width: 32 })).toThrow(
    /^key-value cache: keys and values of 4 sequences of 100000 tokens take 205 MB, .*; lower the number of sequences/,
  );
});

test("as bfloat16 it takes half the memory", () => {
  const backend = { ...openReference(), memoryLeft: () => 1e8 };
  const shape = { layers: 2, slots: 4, capacity: 100_000, width: 32, type: "bfloat16" } as const;
  expect(() => new KeyValueCache(backend, shape)).toThrow(/of 100000 tokens take 102 MB/);
});

test("as bfloat16 it keeps the nearest such numbers, wherever their sequence moves", async () => {
  const backend = openReference();
  const cache = new KeyValueCache(backend, { layers: 1, slots: 3, capacity: 2, width: 2, type: "bfloat16" });
  const token = (values: number[]): Tensor => Tensor.from(backend, values, [3, 1, 2]);
  cache.extend(Int32Array.of(1, 0, 1), 1);
  // 1 + 2⁻⁸ lies half way between neighbours, of which 1 is the even one; 1 + 3 · 2⁻⁹ is nearer to 1 + 2⁻⁷.
  cache.append(0, token([1 + 2 ** -8, 1 + 3 * 2 ** -9, 9, 9, -3, 0.15625]), token([1, 2, 9, 9, 5, 6]));
  cache.commit();
  const keys = async (): Promise<number[]> => {
    cache.extend(Int32Array.of(0, 0, 0), 1);
    const zeros = (): Tensor => token([0, 0, 0, 0, 0, 0]);
    return [...(await cache.append(0, zeros(), zeros()).key.copy().read())];
  };
  const [first, last] = [
    [1, 1 + 2 ** -7],
    [-3, 0.15625],
  ] as const;
  expect(await keys()).toEqual([...first, 0, 0, 0, 0, 0, 0, ...last, 0, 0]);
  cache.fork(2, 1, 1);
  cache.clear(2);
  expect(await keys()).toEqual([...first, 0, 0, ...last, 0, 0, ...last, 0, 0]);
  cache.reorder(Int32Array.of(1, 0, 1));
  expect(await keys()).toEqual([...last, 0, 0, ...first, 0, 0, ...last, 0, 0]);
  expect([...cache.lengths]).toEqual([1, 1, 1]);
});

test("no gradient goes through numbers that were rounded", () => {
  const backend = openReference();
  const cache = new KeyValueCache(backend, { layers: 1, slots: 1, capacity: 2, width: 2, type: "bfloat16" });
  const key = Tensor.from(backend, [1, 2], [1, 1, 2]);
  key.requiresGrad = true;
  cache.extend(Int32Array.of(1), 1);
  expect(() => cache.append(0, key, Tensor.from(backend, [1, 2], [1, 1, 2]))).toThrow(UnsupportedError);
});
