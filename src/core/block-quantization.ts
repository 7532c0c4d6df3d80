import { CheckpointError } from "./errors.ts";
import { float16Of, float16Value } from "./float-formats.ts";

// The oldest formats of ggml. A block of 32 neighbours in a row shares one float16 scale, and the numbers are small
// integers times it. Every step below is rounded to float32 as in ggml's own code, so the bytes are the same.

/** Numbers that share a scale. */
export const quantizationBlock = 32;

/** Bytes of a block: the scale, and 32 signed bytes. */
export const q8BlockBytes = 34;

/** Bytes of a block: the scale, and 32 half bytes. */
export const q4BlockBytes = 18;

/**
 * float32 → Q8_0: q = round(x / d) with d = max|x| / 127, half away from zero.
 *
 * @throws {CheckpointError} naming `where`, when a number is not finite or too large for a float16 scale.
 */
export function quantizeQ8(where: string, from: Float32Array, to: Uint8Array): void {
  const quants = new Int8Array(to.buffer, to.byteOffset, to.byteLength);
  for (let start = 0, at = 0; start < from.length; start += quantizationBlock, at += q8BlockBytes) {
    let largest = 0;
    for (let i = 0; i < quantizationBlock; i++) {
      largest = Math.max(largest, Math.abs(from[start + i] as number)); // NaN stays
    }
    const scale = Math.fround(largest / 127);
    writeScale(where, scale, to, at);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    for (let i = 0; i < quantizationBlock; i++) {
      const x = Math.fround((from[start + i] as number) * inverse);
      quants[at + 2 + i] = Math.trunc(x < 0 ? x - 0.5 : x + 0.5);
    }
  }
}

/** Q8_0 → float32: x = q · d. */
export function dequantizeQ8(from: Uint8Array, to: Float32Array): void {
  const quants = new Int8Array(from.buffer, from.byteOffset, from.byteLength);
  for (let start = 0, at = 0; start < to.length; start += quantizationBlock, at += q8BlockBytes) {
    const scale = readScale(from, at);
    for (let i = 0; i < quantizationBlock; i++) to[start + i] = (quants[at + 2 + i] as number) * scale;
  }
}

/**
 * float32 → Q4_0: q = ⌊x / d + 8.5⌋, at most 15, with d = m / −8 and m the number of largest magnitude, sign and all.
 * Byte i of a block holds number i in its low half and number i + 16 in its high half.
 *
 * @throws {CheckpointError} naming `where`, when a number is not finite or too large for a float16 scale.
 */
export function quantizeQ4(where: string, from: Float32Array, to: Uint8Array): void {
  const half = quantizationBlock / 2;
  for (let start = 0, at = 0; start < from.length; start += quantizationBlock, at += q4BlockBytes) {
    const scale = Math.fround(largestOf(from.subarray(start, start + quantizationBlock)) / -8);
    writeScale(where, scale, to, at);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    for (let i = 0; i < half; i++) {
      const low = nibble(from[start + i] as number, inverse);
      to[at + 2 + i] = low | (nibble(from[start + half + i] as number, inverse) << 4);
    }
  }
}

/** Q4_0 → float32: x = (q − 8) · d. */
export function dequantizeQ4(from: Uint8Array, to: Float32Array): void {
  const half = quantizationBlock / 2;
  for (let start = 0, at = 0; start < to.length; start += quantizationBlock, at += q4BlockBytes) {
    const scale = readScale(from, at);
    for (let i = 0; i < half; i++) {
      const pair = from[at + 2 + i] as number;
      to[start + i] = ((pair & 15) - 8) * scale;
      to[start + half + i] = ((pair >>> 4) - 8) * scale;
    }
  }
}

/**
 * float32 → Q5_0: as {@link quantizeQ4}, with integers up to 31 around 16, whose fifth bits are together in 4 bytes.
 *
 * @throws {CheckpointError} naming `where`, when a number is not finite or too large for a float16 scale.
 */
export function quantizeQ50(where: string, from: Float32Array, to: Uint8Array): void {
  for (let start = 0, at = 0; start < from.length; start += quantizationBlock, at += 22) {
    const x = from.subarray(start, start + quantizationBlock);
    const scale = Math.fround(largestOf(x) / -16);
    writeScale(where, scale, to, at);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    packFiveBits(to.subarray(at + 2, at + 22), (i) =>
      Math.min(31, Math.trunc(Math.fround(Math.fround((x[i] as number) * inverse) + 16.5))),
    );
  }
}

/**
 * float32 → Q5_1: q = ⌊(x − m) / d + 0.5⌋ with m the least number and d = (max − m) / 31.
 *
 * @throws {CheckpointError} naming `where`, when a number is not finite or too large for a float16 scale.
 */
export function quantizeQ51(where: string, from: Float32Array, to: Uint8Array): void {
  for (let start = 0, at = 0; start < from.length; start += quantizationBlock, at += 24) {
    const x = from.subarray(start, start + quantizationBlock);
    packFiveBits(to.subarray(at + 4, at + 24), rangeQuanta(where, x, 31, to, at));
  }
}

/** The number of largest magnitude, or NaN where one is. */
function largestOf(x: Float32Array): number {
  let largest = 0;
  for (let i = 0; i < x.length; i++) {
    const value = x[i] as number;
    if (Math.abs(value) > Math.abs(largest) || Number.isNaN(value)) largest = value;
  }
  return largest;
}

/** Fifth bits of 32 integers into 4 bytes, their other bits into 16. */
function packFiveBits(to: Uint8Array, quantum: (i: number) => number): void {
  const half = quantizationBlock / 2;
  to.fill(0);
  for (let i = 0; i < quantizationBlock; i++) {
    const q = quantum(i);
    const [bitsAt, quantAt] = [i >>> 3, 4 + (i % half)];
    to[bitsAt] = (to[bitsAt] as number) | ((q >>> 4) << (i & 7));
    to[quantAt] = (to[quantAt] as number) | ((q & 15) << (i < half ? 0 : 4));
  }
}

/**
 * float32 → Q4_1: q = ⌊(x − m) / d + 0.5⌋ with m the least number and d = (max − m) / 15.
 *
 * @throws {CheckpointError} naming `where`, when a number is not finite or too large for a float16 scale.
 */
export function quantizeQ41(where: string, from: Float32Array, to: Uint8Array): void {
  const half = quantizationBlock / 2;
  for (let start = 0, at = 0; start < from.length; start += quantizationBlock, at += 20) {
    const quantum = rangeQuanta(where, from.subarray(start, start + quantizationBlock), 15, to, at);
    for (let i = 0; i < half; i++) to[at + 4 + i] = quantum(i) | (quantum(half + i) << 4);
  }
}

/** Writes scale and minimum of a block whose integers go from 0 to `largest`; gives these by their place. */
function rangeQuanta(
  where: string,
  x: Float32Array,
  largest: number,
  to: Uint8Array,
  at: number,
): (i: number) => number {
  const [low, high] = [Math.min(...x), Math.max(...x)]; // NaN stays
  const scale = Math.fround(Math.fround(high - low) / largest);
  writeScale(where, scale, to, at);
  writeScale(where, low, to, at + 2);
  const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
  return (i) =>
    Math.min(largest, Math.trunc(Math.fround(Math.fround(Math.fround((x[i] as number) - low) * inverse) + 0.5)));
}

/** Q4_1 → float32: x = q · d + m. */
export function dequantizeQ41(from: Uint8Array, to: Float32Array): void {
  dequantizeLowBits(from, to, { hasMinimum: true, hasFifthBit: false });
}

/** Q5_0 → float32: x = (q − 16) · d, the fifth bits of a block together in 4 bytes. */
export function dequantizeQ50(from: Uint8Array, to: Float32Array): void {
  dequantizeLowBits(from, to, { hasMinimum: false, hasFifthBit: true });
}

/** Q5_1 → float32: x = q · d + m, the fifth bits of a block together in 4 bytes. */
export function dequantizeQ51(from: Uint8Array, to: Float32Array): void {
  dequantizeLowBits(from, to, { hasMinimum: true, hasFifthBit: true });
}

function dequantizeLowBits(
  from: Uint8Array,
  to: Float32Array,
  { hasMinimum, hasFifthBit }: { hasMinimum: boolean; hasFifthBit: boolean },
): void {
  const half = quantizationBlock / 2;
  const bitsAt = hasMinimum ? 4 : 2;
  const quantsAt = bitsAt + (hasFifthBit ? 4 : 0);
  for (let start = 0, at = 0; start < to.length; start += quantizationBlock, at += quantsAt + half) {
    const scale = readScale(from, at);
    const fifths = from.subarray(at + bitsAt, at + quantsAt); // empty where there are none
    for (let i = 0; i < quantizationBlock; i++) {
      const pair = from[at + quantsAt + (i % half)] as number;
      const q = (i < half ? pair & 15 : pair >>> 4) + ((((fifths[i >>> 3] ?? 0) >>> (i & 7)) & 1) << 4);
      // Without a minimum nothing is added: + 0 would lose the sign of −0.
      to[start + i] = hasMinimum ? Math.fround(q * scale) + readScale(from, at + 2) : (q - 16) * scale;
    }
  }
}

function nibble(x: number, inverse: number): number {
  return Math.min(15, Math.trunc(Math.fround(Math.fround(x * inverse) + 8.5)));
}

/**
 * Writes a scale as float16 and returns what that is. NaN and ∞ anywhere in a block end up in its scale, so that one check
 * covers all.
 *
 * @throws {CheckpointError} naming `where`, when it is not finite or too large.
 */
export function writeScale(where: string, scale: number, to: Uint8Array, at: number): number {
  if (!(Math.abs(scale) < 65520)) {
    throw new CheckpointError(`${where}: a block of scale ${scale} cannot be quantized (float16 ends at 65504)`);
  }
  const bits = float16Of(scale);
  to[at] = bits & 255;
  to[at + 1] = bits >>> 8;
  return float16Value(bits);
}

/** A float16 of a block. */
export function readScale(from: Uint8Array, at: number): number {
  return float16Value((from[at] as number) | ((from[at + 1] as number) << 8));
}
