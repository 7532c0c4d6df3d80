import { expect, test } from "vitest";
import { CheckpointError } from "../core/errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { memorySource } from "./byte-source.ts";
import { isAllZero, sameValues } from "./compare-tensors.ts";
import { readSafetensors, safetensorsChunks } from "./safetensors.ts";
import type { TensorSource, WritableTensor } from "./tensor-source.ts";

// Larger than two of the pieces in which files are read.
const size = 700_001;
const counted = Float32Array.from({ length: size }, (_, i) => i % 128);

function tensor(name: string, values: Float32Array, dtype: "F32" | "BF16" = "F32"): WritableTensor {
  return { name, shape: [values.length], dtype, read: () => values };
}

async function bytesOf(...tensors: WritableTensor[]): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of safetensorsChunks("x", tensors)) chunks.push(chunk.slice());
  return Buffer.concat(chunks);
}

async function fileOf(...tensors: WritableTensor[]): Promise<TensorSource> {
  return readSafetensors(memorySource(await bytesOf(...tensors)));
}

test("tensors are the same to the last value, however each is stored", async () => {
  const last = counted.slice().fill(1000, size - 1);
  const source = await fileOf(
    tensor("one", counted),
    tensor("copy", counted.slice()),
    tensor("rounded", counted, "BF16"),
    tensor("other", last),
    tensor("shorter", counted.slice(0, size - 1)),
  );
  const isSame = (name: string): Promise<boolean> => sameValues(source, "one", name);
  expect(await Promise.all(["copy", "rounded", "other", "shorter"].map(isSame))).toEqual([true, true, false, false]);
});

test("zeros are told from what has one number at its end", async () => {
  const zeros = new Float32Array(size);
  const source = await fileOf(tensor("zeros", zeros), tensor("one", zeros.slice().fill(-1, size - 1), "BF16"));
  expect([await isAllZero(source, "zeros"), await isAllZero(source, "one")]).toEqual([true, false]);
});

test("what differs early is not read to its end, and a file that breaks off is an error", async () => {
  let read = 0;
  const watched = (bytes: Uint8Array, end: number): ByteSource => {
    const source = memorySource(bytes);
    return {
      ...source,
      async read(into, position) {
        if (position + into.length > end) throw new CheckpointError("memory: ends early");
        read += into.length;
        await source.read(into, position);
      },
    };
  };
  const early = await bytesOf(tensor("one", counted), tensor("other", counted.slice().fill(1000, 0, 1)));
  const source = await readSafetensors(watched(early, early.length));
  read = 0;
  expect(await sameValues(source, "one", "other")).toBe(false);
  expect(read).toBeLessThan(early.length);
  const copies = await bytesOf(tensor("one", counted), tensor("other", counted));
  const broken = await readSafetensors(watched(copies, copies.length - 1));
  await expect(sameValues(broken, "one", "other")).rejects.toThrow("memory: ends early");
});
