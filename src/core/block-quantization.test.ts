import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  dequantizeQ4,
  dequantizeQ8,
  dequantizeQ41,
  dequantizeQ50,
  dequantizeQ51,
  q4BlockBytes,
  q8BlockBytes,
  quantizationBlock,
  quantizeQ4,
  quantizeQ8,
  quantizeQ50,
  quantizeQ51,
} from "./block-quantization.ts";
import { CheckpointError } from "./errors.ts";
import { dequantizeQ4K, dequantizeQ5K, dequantizeQ6K } from "./k-decoding.ts";

/** Two blocks: a spread of eighths, and one number that dwarfs the rest. */
const numbers = Float32Array.from({ length: 64 }, (_, i) => (((i * 37) % 64) - 32) / 8);
numbers[5] = -7.25;
numbers[40] = 1000;
numbers[50] = -0.03125;

/**
 * Made by ggml's own Python package (gguf 0.19.0): the formats of 32 from {@link numbers}, the others from random bytes;
 * every ninth of the numbers it reads from the first, every 23rd from the others.
 */
const recorded: [string, string, number[]][] = [
  [
    "Q8_0",
    "Tyu6C9Ah5oH8wBLWJ+w9AscY3S7zRAnOH+Q1+b4P1CXqO+BHAAAAAAAAAAB/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    [-3.99688720703125, -2.39813232421875, -0.742279052734375, 0.856475830078125, 0, 0, 0, 0],
  ],
  ["Q4_0", "QDtkuXXKllCoZLmFSpdcqHTK0NeIiIiIiIiIiICIiIiIiIiI", [-3.625, -2.71875, -0.90625, 0.90625, -0, -0, -0, -0]],
  [
    "Q4_1",
    "7zlAx3TblvyoYMmF65dduG7ahewvVMDDAAAAAAAAAAAPAAAAAAAAAA==",
    [-4.283203125, -2.05810546875, -0.57470703125, 0.90869140625, -3.875, -3.875, -3.875, -3.875],
  ],
  [
    "Q5_0",
    "QDcKtVqpx2HqlB2gT8hy+4UuqFDZc9DT//7//wAAAAAAAAAAAAAAAAAAAAA=",
    [-4.078125, -2.265625, -0.90625, 0.90625, -0, -0, -0, -0],
  ],
  [
    "Q5_1",
    "vjVAx1q93uv5xi35YMCUCtc+qnHepRvoDFDAwwABAAAAAAAAAAAAAA8AAAAAAAAA",
    [-4.02001953125, -2.2255859375, -0.7900390625, 1.00439453125, -3.875, -3.875, -3.875, -3.875],
  ],
  [
    "Q4_K",
    "ACAAGPO9BoNmqFLBu5ZR880Y7Aj2pOck0m+s0q6w2vKpcs0/oC/UT0hweN5FH19sJG3uRTNR5NPKOspBTEbBaCr60aQCLLKMYgLzFTIdDgc1MpfdLjzmwKScf9aawsOJSJlK0TpMaVQK1eJzqHbWyUUZuR8kLZ5NLgzaHwxwGHQLghb6gY5QIl21IGKlaTJn",
    [
      5.10546875, 5.90234375, 6.1171875, 0.01171875, 0.05859375, 0.232421875, 6.861328125, 0.810546875, -0.080078125,
      -0.009765625, 2.337890625, 1.517578125,
    ],
  ],
  [
    "Q5_K",
    "ACAAGISkFTTs/ZOAkvcmQ/MWEwUx5hfARZfgD03eyEd2/Ix/x3k1fE2m7x3XlxH7ADXFv3QqL/beI5QXZNWLuQqhC0vc142KuUfI7IlX4kYZ8tK5c30gKQJQlFIpCE34LlnOayESHYTY/P9KaF6pHUSPsmxNBp2foR2idF+01MbW0ONcysjtnLOM1cW6BdTqx2JkbT7CIgrVbfG3PqBRh+OlQd9SCZd1A3I6Xlsk9g8=",
    [
      0.4140625, 0.2265625, 2.130859375, 4.720703125, 3.900390625, 8.9375, 0.419921875, 2.314453125, 3.228515625,
      1.01171875, -0.0234375, 0.3515625,
    ],
  ],
  [
    "Q6_K",
    "ITwJdTgVLqR6ZyPFTCVG2ioDADeJ+8qXJ/3vzQ+/lUJfITpYsXkC11wF4pR0Um6CQGp2rCqdyYJ2+B77cpbGwPJ/2w3yN94lPOSJi4EO09GzAqsRA+Trrj42bsJmL3/JgJmT313DDTGe4CaO17xnzS25pVvVmvowZMi/euCh4BRZ4VE4rSfw2jea6apAE33cjg0L1zK8ZOCLs39PSxPPeI4pD54CCShGLjJg6yPF0AGQYJbW8PZNpVwZ3EA6+0u4jMO7aTrd59Uc0oz/MSUpSAAg",
    [
      13.59375, 11.9140625, -16.171875, 0.453125, 8.75, -8.734375, -5.03125, -8.15625, -0.15625, -7.2734375, -10.25,
      14.625,
    ],
  ],
];
const decoders = {
  Q8_0: dequantizeQ8,
  Q4_0: dequantizeQ4,
  Q4_1: dequantizeQ41,
  Q5_0: dequantizeQ50,
  Q5_1: dequantizeQ51,
  Q4_K: dequantizeQ4K,
  Q5_K: dequantizeQ5K,
  Q6_K: dequantizeQ6K,
};

test.each(recorded)("%s is read as ggml reads it", (name, bytes, expected) => {
  const isSuper = name.endsWith("K");
  const values = new Float32Array(isSuper ? 256 : 64);
  decoders[name as keyof typeof decoders](Buffer.from(bytes, "base64"), values);
  expect([...values.filter((_, i) => i % (isSuper ? 23 : 9) === 0)]).toEqual(expected);
});

const writers = [
  ["Q8_0", quantizeQ8, dequantizeQ8, q8BlockBytes],
  ["Q4_0", quantizeQ4, dequantizeQ4, q4BlockBytes],
  ["Q5_0", quantizeQ50, dequantizeQ50, 22],
  ["Q5_1", quantizeQ51, dequantizeQ51, 24],
] as const;

/** Steps in the largest magnitude of a block, and by how many of them a number may be off: a whole one where rounding cuts off one end. */
const rounding = { Q8_0: [127, 0.5], Q4_0: [8, 1], Q5_0: [16, 1], Q5_1: [15.5, 0.5] } as const;

describe.each(writers)("%s", (name, quantize, dequantize, blockBytes) => {
  const encode = (values: Float32Array): Uint8Array => {
    const bytes = new Uint8Array((values.length / quantizationBlock) * blockBytes);
    quantize("x.gguf: w", values, bytes);
    return bytes;
  };
  const decode = (bytes: Uint8Array): Float32Array => {
    const values = new Float32Array((bytes.length / blockBytes) * quantizationBlock);
    dequantize(bytes, values);
    return values;
  };

  test("is written byte for byte as ggml writes it", () => {
    const [, expected] = recorded.find(([other]) => other === name) ?? [];
    expect(Buffer.from(encode(numbers)).toString("base64")).toBe(expected);
  });

  test("zeros stay zeros", () => {
    expect(decode(encode(new Float32Array(32))).every((x) => x === 0)).toBe(true);
  });

  test("no number is further off than its block's scale allows", () => {
    fc.assert(
      fc.property(fc.float32Array({ minLength: 32, maxLength: 32, noNaN: true, min: -1e4, max: 1e4 }), (values) => {
        const largest = Math.max(...values.map(Math.abs));
        const back = decode(encode(values));
        // Float16 scales add 2⁻¹¹ each.
        const [steps, off] = rounding[name];
        const allowed = (off * largest) / steps + largest * 2 ** -9 + 2 ** -17;
        for (const [i, x] of values.entries()) expect(Math.abs((back[i] ?? 0) - x)).toBeLessThanOrEqual(allowed);
      }),
    );
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3e38])("%s has no scale", (value) => {
    for (const at of [0, 31, 40]) {
      const values = numbers.slice();
      values[at] = value;
      expect(() => encode(values)).toThrow(CheckpointError);
      expect(() => encode(values)).toThrow("x.gguf: w: a block of scale");
    }
  });
});
