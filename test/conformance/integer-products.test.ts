import { expect, test } from "vitest";
import type { Backend } from "../../src/backend/kernels.ts";
import { nativeInstructionSets } from "../../src/backend/native/index.ts";
import { openReference } from "../../src/backend/reference/index.ts";
import type { WeightFormatName } from "../../src/backend/storage.ts";
import { weightFormats } from "../../src/backend/weight-formats.ts";
import { float16Of, float16Value } from "../../src/core/float-formats.ts";
import { Random } from "../../src/core/random.ts";
import { native } from "./compare.ts";
import { Workspace } from "./workspace.ts";

const [m, n, k] = [19, 40, 768];
const rows = new Random(1).normal(m * k);

/** A block as ggml rounds what it multiplies with blocks of weights: 32 numbers with a float16 scale, 256 with a float32 one. */
function roundedBlock(x: Float32Array): Float32Array {
  const largest = x.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const scale = x.length === 32 ? float16Value(float16Of(largest / 127)) : largest / 127;
  return x.map((value) => Math.round(Math.fround(value * Math.fround(127 / largest))) * scale);
}

async function productOf(
  backend: Backend,
  a: Float32Array,
  format: WeightFormatName,
  roundsRows: boolean,
): Promise<Float32Array> {
  const memory = new Workspace(backend);
  const m = a.length / k;
  const out = memory.blank([m, n]);
  backend.kernels.matmul({
    ...{ a: memory.floats(a, [m, k]), b: memory.weights(format, [n, k], 2), out, batch: 1, m, n, k },
    ...{ transposeA: false, transposeB: true, batchStrideA: 0, batchStrideB: 0, roundsRows },
  });
  const values = (await backend.read(out.storage, out.offset, m * n)) as Float32Array;
  memory.release();
  return values;
}

// Where blocks have minima, ggml rounds the sums of rows that these multiply once more.
const formats = ["q8_0", "q4_0", "q5_0", "q4_k", "q5_k", "q6_k"] as const;

test.each(formats)("rows times %s are what ggml's rounding of the rows makes of them", async (format) => {
  const { block } = weightFormats[format];
  const rounded = new Float32Array(rows.length);
  for (let at = 0; at < rows.length; at += block) rounded.set(roundedBlock(rows.subarray(at, at + block)), at);
  const expected = await productOf(openReference(), rounded, format, false);
  const backends = [openReference(), ...nativeInstructionSets().map((instructionSet) => native(instructionSet))];
  for (const [i, backend] of backends.entries()) {
    const values = await productOf(backend, rows, format, true);
    const worst = Math.max(...values.map((value, at) => Math.abs(value - (expected[at] ?? Number.NaN))));
    expect(worst, `backend ${i}`).toBeLessThan(2e-4); // sums of 768 products of about 1
  }
});

test.each(formats)("a row times %s has the same bits whatever rows are with it", async (format) => {
  for (const instructionSet of nativeInstructionSets()) {
    const backend = native(instructionSet);
    const all = await productOf(backend, rows, format, true);
    for (const count of [1, 2, 3, 5, 6, 7, 9]) {
      const values = await productOf(backend, rows.subarray(0, count * k), format, true);
      expect(values, `${instructionSet}, ${count} rows`).toEqual(all.subarray(0, count * n));
    }
  }
});
