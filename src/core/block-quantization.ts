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
      quants[at + 2 + i] = x < 0 ? -Math.floor(0.5 - x) : Math.floor(x + 0.5);
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
    let largest = 0;
    for (let i = 0; i < quantizationBlock; i++) {
      const x = from[start + i] as number;
      if (Math.abs(x) > Math.abs(largest) || Number.isNaN(x)) largest = x; // NaN stays
    }
    const scale = Math.fround(largest / -8);
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

/** NaN and ∞ anywhere in a block end up in its scale, so that one check covers all. */
function writeScale(where: string, scale: number, to: Uint8Array, at: number): void {
  if (!(Math.abs(scale) < 65520)) {
    throw new CheckpointError(`${where}: a block of scale ${scale} cannot be quantized (float16 ends at 65504)`);
  }
  const bits = float16Of(scale);
  to[at] = bits & 255;
  to[at + 1] = bits >>> 8;
}

function readScale(from: Uint8Array, at: number): number {
  return float16Value((from[at] as number) | ((from[at + 1] as number) << 8));
}
