import { expect, test } from "vitest";
import { MemoryError } from "../core/errors.ts";
import { demandMemory } from "./demand-memory.ts";
import { backends, openBackend } from "./index.ts";
import type { Backend } from "./kernels.ts";

const withMemory = async (left: number): Promise<Backend> => ({ ...(await openBackend()), memoryLeft: () => left });

test("what fits is let through, what does not is named with what there is", async () => {
  const backend = await withMemory(3e9);
  expect(() => demandMemory(backend, 3e9, "two weights", "take one")).not.toThrow();
  expect(() => demandMemory(backend, 3.5e9, "two weights", "take one")).toThrow(
    new MemoryError(
      "two weights take 3.50 GB, and 3.00 GB of memory are left (STEMMA_MEMORY=16GB if you know better); take one",
    ),
  );
});

test.each(Object.keys(backends) as (keyof typeof backends)[])(
  "%s: an allocation that fails says how much it asked for",
  async (name) => {
    const opened = await backends[name]({});
    if (opened.backend === null) return;
    const { backend } = opened;
    expect(backend.memoryLeft?.()).toBeGreaterThan(0);
    expect(() => backend.allocate("float32", 2 ** 50)).toThrow(
      /^out of memory: 4,?504 TB more were asked for; lower --batch-size, /,
    );
  },
);
