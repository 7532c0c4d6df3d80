import { writeScale } from "./block-quantization.ts";
import type { FoundBlock, SearchSteps } from "./block-search.ts";
import { nearestInt, searchScale, searchScaleAndMinimum } from "./block-search.ts";
import { CheckpointError } from "./errors.ts";
import { superBlock } from "./k-decoding.ts";

// float32 → ggml's formats of super-blocks, byte for byte what its own code writes without an importance matrix.

const { fround, min, max, abs } = Math;

const parts = 8;
const partSize = superBlock / parts;

/** float32 → Q4_K: see {@link searchScaleAndMinimum}; a number's error counts the mean magnitude of its block and its own. */
export function quantizeQ4K(where: string, from: Float32Array, to: Uint8Array): void {
  const search = { largest: 15, first: -1, step: fround(0.1), steps: 20 };
  forSuperBlocks(where, from, to, 144, (x, block) => {
    withMinima(where, x, search, block);
    packHalves(quanta, block.subarray(16));
  });
}

/** float32 → Q5_K: as {@link quantizeQ4K}, with a fifth bit of each integer in a table of its own. */
export function quantizeQ5K(where: string, from: Float32Array, to: Uint8Array): void {
  const search = { largest: 31, first: -0.5, step: fround(0.1), steps: 15 };
  forSuperBlocks(where, from, to, 176, (x, block) => {
    withMinima(where, x, search, block);
    const high = block.subarray(16, 48).fill(0);
    for (let i = 0; i < superBlock; i++) {
      if ((quanta[i] as number) <= 15) continue;
      quanta[i] = (quanta[i] as number) - 16;
      high[i % 32] = (high[i % 32] as number) | (1 << (i >>> 5));
    }
    packHalves(quanta, block.subarray(48));
  });
}

/** float32 → Q6_K: each 16 numbers have a scale found by {@link searchScale}, itself one of 255 times a float16. */
export function quantizeQ6K(where: string, from: Float32Array, to: Uint8Array): void {
  forSuperBlocks(where, from, to, 210, (x, block) => {
    let largest = 0;
    for (let part = 0; part < 16; part++) {
      const scale = searchScale(x.subarray(part * 16, part * 16 + 16), 32);
      scales16[part] = scale;
      if (abs(scale) > abs(largest)) largest = scale;
    }
    block.fill(0);
    if (abs(largest) < fround(1e-15)) return;
    const inverse = fround(-128 / largest);
    const d = writeScale(where, fround(1 / inverse), block, 208);
    for (let part = 0; part < 16; part++)
      roundPart(x, part, d, min(127, nearestInt(inverse * (scales16[part] as number))), block);
  });
}

/** Writes a sixteenth of a Q6_K block. */
function roundPart(x: Float32Array, part: number, d: number, scale: number, block: Uint8Array): void {
  block[192 + part] = scale;
  const step = fround(d * scale);
  for (let i = part * 16; i < part * 16 + 16; i++) {
    // Where a scale is 0 the integers do not matter.
    const q = step === 0 ? 0 : max(-32, min(31, nearestInt((x[i] as number) / step)));
    packSixBits(block, i, q + 32);
  }
}

const quanta = new Uint8Array(superBlock);
const weights = new Float32Array(partSize);
const scales = new Float32Array(parts);
const minima = new Float32Array(parts);
const scales16 = new Float32Array(16);
const found: FoundBlock = { scale: 0, minimum: 0 };

/** Squares of numbers beyond it would outgrow float32, and no scale of float16 reaches there. */
const limit = 1e8;

/** NaN and ∞ would vanish in a comparison: they are looked for first. */
function forSuperBlocks(
  where: string,
  from: Float32Array,
  to: Uint8Array,
  bytes: number,
  encode: (x: Float32Array, block: Uint8Array) => void,
): void {
  for (let start = 0, at = 0; start < from.length; start += superBlock, at += bytes) {
    const x = from.subarray(start, start + superBlock);
    for (let i = 0; i < superBlock; i++) {
      if (!(abs(x[i] as number) < limit))
        throw new CheckpointError(`${where}: a weight of ${x[i]} cannot be quantized`);
    }
    encode(x, to.subarray(at, at + bytes));
  }
}

/** Scales and minima of the eight parts into the first 16 bytes of a block; leaves the integers in `quanta`. */
function withMinima(
  where: string,
  x: Float32Array,
  search: SearchSteps & { readonly largest: number },
  block: Uint8Array,
): void {
  let [maxScale, maxMinimum] = [0, 0];
  for (let part = 0; part < parts; part++) {
    const own = x.subarray(part * partSize, (part + 1) * partSize);
    weigh(own);
    searchScaleAndMinimum(own, weights, search, quanta.subarray(part * partSize, (part + 1) * partSize), found);
    scales[part] = found.scale;
    minima[part] = found.minimum;
    maxScale = max(maxScale, found.scale);
    maxMinimum = max(maxMinimum, found.minimum);
  }
  const packed = block.subarray(4, 16).fill(0);
  const d = writeScale(where, fround(maxScale / 63), block, 0);
  const dMinimum = writeScale(where, fround(maxMinimum / 63), block, 2);
  const inverse = maxScale > 0 ? fround(63 / maxScale) : 0;
  const inverseMinimum = maxMinimum > 0 ? fround(63 / maxMinimum) : 0;
  for (let part = 0; part < parts; part++) {
    const scale = min(63, nearestInt(inverse * (scales[part] as number)));
    const minimum = min(63, nearestInt(inverseMinimum * (minima[part] as number)));
    packScale(packed, part, scale, minimum);
    const [step, offset] = [fround(d * scale), fround(dMinimum * minimum)];
    if (step === 0) continue;
    for (let i = part * partSize; i < (part + 1) * partSize; i++) {
      const q = nearestInt(fround((x[i] as number) + offset) / step);
      quanta[i] = max(0, min(search.largest, q));
    }
  }
}

function weigh(x: Float32Array): void {
  let squares = 0;
  for (let i = 0; i < partSize; i++) squares = fround(squares + fround((x[i] as number) * (x[i] as number)));
  const mean = fround(Math.sqrt(fround(squares / partSize)));
  for (let i = 0; i < partSize; i++) weights[i] = mean + abs(x[i] as number);
}

/** Where `dequantizeQ4K` looks for it. */
function packScale(packed: Uint8Array, part: number, scale: number, minimum: number): void {
  if (part < 4) {
    packed[part] = scale;
    packed[part + 4] = minimum;
    return;
  }
  packed[part + 4] = (scale & 15) | ((minimum & 15) << 4);
  packed[part - 4] = (packed[part - 4] as number) | ((scale >>> 4) << 6);
  packed[part] = (packed[part] as number) | ((minimum >>> 4) << 6);
}

/** Bytes hold 32 numbers in their low halves and the next 32 in their high ones. */
function packHalves(from: Uint8Array, to: Uint8Array): void {
  for (let i = 0; i < superBlock / 2; i++) {
    const low = (i >>> 5) * 64 + (i & 31);
    to[i] = (from[low] as number) | ((from[low + 32] as number) << 4);
  }
}

/** Low bits in the first 128 bytes of a block, high ones in the next 64, as `dequantizeQ6K` reads them. */
function packSixBits(block: Uint8Array, i: number, q: number): void {
  const [half, run, place] = [i >>> 7, (i >>> 5) & 3, i & 31];
  const low = half * 64 + (run & 1) * 32 + place;
  const high = 128 + half * 32 + place;
  block[low] = (block[low] as number) | ((q & 15) << (run < 2 ? 0 : 4));
  block[high] = (block[high] as number) | ((q >>> 4) << (2 * run));
}
