import { readScale } from "./block-quantization.ts";
import { forSuperBlocks, superBlock } from "./k-decoding.ts";

// ggml's formats → float32 that files of others have and Stemma never writes.

/** Q2_K → float32: x = d · scale · q − dmin · minimum, with q of 2 bits and a scale and minimum of 4 for every 16. */
export function dequantizeQ2K(from: Uint8Array, to: Float32Array): void {
  forSuperBlocks(from, to, 84, (block, out) => {
    const [d, dMin] = [readScale(block, 80), readScale(block, 82)];
    for (let i = 0; i < superBlock; i++) {
      const own = block[i >>> 4] as number;
      out[i] = Math.fround(Math.fround(d * (own & 15)) * twoBits(block, 16, i)) - Math.fround(dMin * (own >>> 4));
    }
  });
}

/** Q3_K → float32: x = d · scale · (q − 4), with q of 3 bits, the highest in a table of its own, and a scale of 6 for every 16. */
export function dequantizeQ3K(from: Uint8Array, to: Float32Array): void {
  forSuperBlocks(from, to, 110, (block, out) => {
    const d = readScale(block, 108);
    const scales = block.subarray(96, 108);
    for (let i = 0; i < superBlock; i++) {
      const high = ((block[i & 31] as number) >>> (i >>> 5)) & 1;
      const q = (twoBits(block, 32, i) | (high << 2)) - 4;
      out[i] = Math.fround(d * (sixBits(scales, i >>> 4) - 32)) * q;
    }
  });
}

/** What the 16 values of IQ4_NL and IQ4_XS stand for: closer to each other where weights are many. */
const levels = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/** IQ4_NL → float32: x = d · level, of blocks of 32. */
export function dequantizeIQ4NL(from: Uint8Array, to: Float32Array): void {
  for (let start = 0, at = 0; start < to.length; start += 32, at += 18) {
    const d = readScale(from, at);
    for (let i = 0; i < 32; i++) to[start + i] = d * levelOf(from, at + 2, i);
  }
}

/** IQ4_XS → float32: x = d · (scale − 32) · level, with a scale of 6 bits for every 32. */
export function dequantizeIQ4XS(from: Uint8Array, to: Float32Array): void {
  forSuperBlocks(from, to, 136, (block, out) => {
    const d = readScale(block, 0);
    const highs = (block[2] as number) | ((block[3] as number) << 8);
    for (let part = 0; part < 8; part++) {
      const low = ((block[4 + (part >>> 1)] as number) >>> (4 * (part & 1))) & 15;
      const scale = Math.fround(d * ((low | (((highs >>> (2 * part)) & 3) << 4)) - 32));
      for (let i = 0; i < 32; i++) out[part * 32 + i] = scale * levelOf(block, 8 + part * 16, i);
    }
  });
}

/** Number `i` of 256: each half of 128 has 32 bytes, which hold four runs of 32 numbers. */
function twoBits(bytes: Uint8Array, start: number, i: number): number {
  return ((bytes[start + (i >>> 7) * 32 + (i & 31)] as number) >>> (2 * ((i >>> 5) & 3))) & 3;
}

/** Scale `part` of 16: four low bits in the first eight bytes, two high ones in the last four. */
function sixBits(scales: Uint8Array, part: number): number {
  const low = ((scales[part & 7] as number) >>> (4 * (part >>> 3))) & 15;
  return low | ((((scales[8 + (part & 3)] as number) >>> (2 * (part >>> 2))) & 3) << 4);
}

/** The level of number `i` of 32: sixteen bytes hold the first sixteen in their low halves. */
function levelOf(bytes: Uint8Array, start: number, i: number): number {
  return levels[((bytes[start + (i & 15)] as number) >>> (4 * (i >>> 4))) & 15] as number;
}
