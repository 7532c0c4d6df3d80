import { expect, test } from "vitest";
import { bitsOf, float16Of, float16Value, fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from "./float-formats.ts";

const every16 = Uint16Array.from({ length: 0x10000 }, (_, i) => i);

/** Nearest of a sorted list of values by exhaustive definition: the closer neighbour, the even pattern on a tie. */
function nearest(value: number, values: Float64Array): number {
  let low = 0;
  let high = values.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((values[middle] ?? 0) <= value) low = middle;
    else high = middle;
  }
  const below = value - (values[low] ?? 0);
  const above = (values[high] ?? 0) - value;
  if (below === above) return low % 2 === 0 ? low : high;
  return below < above ? low : high;
}

/** Random float32 magnitudes with exponents from 2^low to 2^high, and ties exactly between 16-bit neighbours. */
function samples(low: number, high: number, tieBit: number): Float32Array {
  const values = new Float32Array(20_000);
  const bits = bitsOf(values);
  let state = 1;
  for (let i = 0; i < values.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const exponent = 127 + low + (state % (high - low + 1));
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const fraction = state >>> 9;
    const tie = ((fraction >>> (tieBit + 1)) << (tieBit + 1)) | (1 << tieBit);
    bits[i] = (exponent << 23) | (i % 3 === 0 ? tie : fraction);
  }
  return values;
}

test("float16 → float32 matches its definition on every pattern", () => {
  const out = new Float32Array(every16.length);
  fromFloat16(every16, out);
  for (let half = 0; half < 0x8000; half++) {
    const exponent = half >> 10;
    const fraction = half & 0x3ff;
    const finite = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
    const expected = exponent < 31 ? finite : fraction === 0 ? Number.POSITIVE_INFINITY : Number.NaN;
    expect(Object.is(out[half], expected) && Object.is(out[half | 0x8000], -expected), `pattern ${half}`).toBe(true);
  }
});

test("float16 and bfloat16 survive a trip through float32 bit for bit", () => {
  const values = new Float32Array(every16.length);
  const back = new Uint16Array(every16.length);
  fromFloat16(every16, values);
  toFloat16(values, back);
  const quiet = (bits: number, infinity: number, bit: number) => ((bits & 0x7fff) > infinity ? bits | bit : bits);
  expect(back).toEqual(every16.map((half) => quiet(half, 0x7c00, 0x200)));
  fromBfloat16(every16, values);
  toBfloat16(values, back);
  expect(back).toEqual(every16.map((brain) => quiet(brain, 0x7f80, 0x40)));
});

test("float32 → float16 rounds to nearest, ties to even, over normal and subnormal results", () => {
  const table = new Float64Array(0x7c01);
  for (let half = 0; half < 0x7c00; half++) table[half] = float16Value(half);
  table[0x7c00] = 65536; // the next step of the grid: rounding treats ∞ as lying there
  const values = samples(-27, 15, 12);
  const out = new Uint16Array(values.length);
  toFloat16(values, out);
  expect(out).toEqual(Uint16Array.from(values, (value) => nearest(value, table)));
});

test("float32 → bfloat16 rounds to nearest, ties to even", () => {
  const wide = new Float32Array(0x7f80);
  fromBfloat16(every16.subarray(0, 0x7f80), wide);
  const table = Float64Array.from([...wide, 2 ** 128]);
  const values = samples(-126, 127, 15);
  const out = new Uint16Array(values.length);
  toBfloat16(values, out);
  expect(out).toEqual(Uint16Array.from(values, (value) => nearest(value, table)));
});

test("values too large for float16 become infinite and are counted", () => {
  const values = Float32Array.from([65504, 65519, 65520, -1e6, Number.POSITIVE_INFINITY, Number.NaN]);
  const out = new Uint16Array(values.length);
  expect(toFloat16(values, out)).toBe(2);
  expect([...out.subarray(0, 5)]).toEqual([0x7bff, 0x7bff, 0x7c00, 0xfc00, 0x7c00]);
  expect(float16Value(out[5] ?? 0)).toBeNaN();
});

test("single values", () => {
  expect(float16Of(1)).toBe(0x3c00);
  expect(float16Of(-0)).toBe(0x8000);
  expect(float16Value(0x3555)).toBe(1365 * 2 ** -12);
});
