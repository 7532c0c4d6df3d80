import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { CheckpointError } from "./errors.ts";
import { dequantizeQ4K, dequantizeQ5K, dequantizeQ6K, superBlock } from "./k-decoding.ts";
import { quantizeQ4K, quantizeQ5K, quantizeQ6K } from "./k-encoding.ts";

/** Eight super-blocks: wide, narrow, of one sign, mostly zeros, and one with a number that dwarfs the rest. */
const numbers = Float32Array.from({ length: 8 * superBlock }, (_, i) => {
  const x = (((i * 7919) % 1009) - 504) / 997;
  if (i === 1800) return 40;
  if (i >= 1536 && i < 1792 && i % 5 > 0) return 0;
  if (i >= 1280 && i < 1536) return -Math.abs(x);
  if (i >= 1024 && i < 1280) return Math.abs(x);
  return i >= 512 && i < 1024 ? x / 64 : x;
});

/** SHA-256 of what `ggml_quantize_chunk` of the ggml in node-llama-cpp 3.22.1 makes of {@link numbers}. */
const formats = [
  ["Q4_K", quantizeQ4K, dequantizeQ4K, 144, "3e7c74ace05d1148aa2d1844a1b7f7587f81f7e4c864e20fa3436e56f672a31a", 0.07],
  ["Q5_K", quantizeQ5K, dequantizeQ5K, 176, "6ed8b073ea1227836830fb6249d6edc6fead787ae0b7ccadd860bf7a726e0c81", 0.03],
  ["Q6_K", quantizeQ6K, dequantizeQ6K, 210, "9652a64fdb04c8971dba42d33b9df4d730df81986d89cd8bce3237fb526a124d", 0.02],
] as const;

describe.each(formats)("%s", (_, quantize, dequantize, blockBytes, hash, bound) => {
  const encode = (values: Float32Array): Uint8Array => {
    const bytes = new Uint8Array((values.length / superBlock) * blockBytes).fill(255); // what was there does not matter
    quantize("x.gguf: w", values, bytes);
    return bytes;
  };
  const roundTrip = (values: Float32Array): Float32Array => {
    const back = new Float32Array(values.length);
    dequantize(encode(values), back);
    return back;
  };

  test("is written byte for byte as ggml writes it", () => {
    expect(createHash("sha256").update(encode(numbers)).digest("hex")).toBe(hash);
  });

  test("is read as what was written, up to rounding", () => {
    const values = numbers.subarray(0, 512);
    const back = roundTrip(values);
    const squares = values.reduce((sum, x, i) => sum + (x - (back[i] ?? 0)) ** 2, 0);
    expect(Math.sqrt(squares / values.reduce((sum, x) => sum + x * x, 0))).toBeLessThan(bound);
  });

  test("zeros stay zeros", () => {
    expect(roundTrip(new Float32Array(superBlock)).every((x) => x === 0)).toBe(true);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3e38])("%s is refused", (value) => {
    for (const at of [0, 255, 300]) {
      const values = numbers.slice(0, 512);
      values[at] = value;
      expect(() => encode(values)).toThrow(CheckpointError);
      expect(() => encode(values)).toThrow(/^x\.gguf: w: .*cannot be quantized/);
    }
  });
});
