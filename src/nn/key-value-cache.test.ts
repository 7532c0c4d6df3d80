import { expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { KeyValueCache } from "./key-value-cache.ts";

test("a cache that is larger than memory is refused before it is there", () => {
  const backend = { ...openReference(), memoryLeft: () => 1e8 };
  expect(() => new KeyValueCache(backend, { layers: 2, slots: 4, capacity: 100_000, width: 32 })).toThrow(
    /^key-value cache: keys and values of 4 sequences of 100000 tokens take 205 MB, .*; lower the number of sequences/,
  );
});
