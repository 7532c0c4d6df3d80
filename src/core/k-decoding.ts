import { readScale } from "./block-quantization.ts";

// ggml's later formats → float32; k-encoding.ts is the other way. A super-block of 256 neighbours in a row holds eight or sixteen small blocks,
// whose scales are themselves small integers times one float16.

/** Numbers in a super-block. */
export const superBlock = 256;

const scaleBytes = 12;

/** Q4_K → float32: x = d · scale · q − dmin · minimum, with q of 4 bits and a scale and minimum of 6 for every 32. */
export function dequantizeQ4K(from: Uint8Array, to: Float32Array): void {
  forSuperBlocks(from, to, 144, (block, out) => {
    const low = block.subarray(4 + scaleBytes);
    scaled(block, out, (i) => halfByte(low, i));
  });
}

/** Q5_K → float32: as {@link dequantizeQ4K}, with a fifth bit of each q in a table of its own. */
export function dequantizeQ5K(from: Uint8Array, to: Float32Array): void {
  forSuperBlocks(from, to, 176, (block, out) => {
    const high = block.subarray(4 + scaleBytes, 48);
    const low = block.subarray(48);
    scaled(block, out, (i) => halfByte(low, i) | ((((high[i % 32] as number) >>> (i >>> 5)) & 1) << 4));
  });
}

/** Q6_K → float32: x = d · scale · (q − 32), with q of 6 bits and a signed byte as the scale of every 16. */
export function dequantizeQ6K(from: Uint8Array, to: Float32Array): void {
  forSuperBlocks(from, to, 210, (block, out) => {
    const scales = new Int8Array(block.buffer, block.byteOffset + 192, 16);
    const d = readScale(block, 208);
    for (let i = 0; i < superBlock; i++) {
      // Each half of 128 has 64 bytes of low bits and 32 of high ones: four runs of 32 numbers.
      const [half, run, place] = [i >>> 7, (i >>> 5) & 3, i & 31];
      const low = block[half * 64 + (run & 1) * 32 + place] as number;
      const high = block[128 + half * 32 + place] as number;
      const q = ((run < 2 ? low : low >>> 4) & 15) | (((high >>> (2 * run)) & 3) << 4);
      out[i] = Math.fround(d * (scales[i >>> 4] as number)) * (q - 32);
    }
  });
}

/** Calls `decode` with each super-block of `bytes`, and the 256 numbers that it holds. */
export function forSuperBlocks(
  from: Uint8Array,
  to: Float32Array,
  bytes: number,
  decode: (block: Uint8Array, out: Float32Array) => void,
): void {
  for (let start = 0, at = 0; start < to.length; start += superBlock, at += bytes) {
    decode(from.subarray(at, at + bytes), to.subarray(start, start + superBlock));
  }
}

/** Fills a super-block of eight blocks with a scale and a minimum each. */
function scaled(block: Uint8Array, out: Float32Array, quantum: (i: number) => number): void {
  const [d, dMin] = [readScale(block, 0), readScale(block, 2)];
  const packed = block.subarray(4, 4 + scaleBytes);
  for (let part = 0; part < 8; part++) {
    const scale = Math.fround(d * sixBits(packed, part, 0));
    const minimum = Math.fround(dMin * sixBits(packed, part, 4));
    for (let i = part * 32; i < part * 32 + 32; i++) out[i] = Math.fround(scale * quantum(i)) - minimum;
  }
}

/**
 * Scale (`offset` 0) or minimum (4) of a block. Those of the first four are the low six bits of a byte; those of the
 * last four have their low bits in the last four bytes and their high bits on top of the first ones.
 */
function sixBits(packed: Uint8Array, part: number, offset: 0 | 4): number {
  if (part < 4) return (packed[offset + part] as number) & 63;
  const low = ((packed[4 + part] as number) >>> offset) & 15;
  return low | (((packed[offset + part - 4] as number) >>> 6) << 4);
}

/** Bytes hold 32 numbers in their low halves and the next 32 in their high ones. */
function halfByte(bytes: Uint8Array, i: number): number {
  const byte = bytes[(i >>> 6) * 32 + (i & 31)] as number;
  return (i & 32) === 0 ? byte & 15 : byte >>> 4;
}
