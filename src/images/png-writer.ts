import { crc32, deflateSync } from "node:zlib";
import type { Picture } from "./picture.ts";
import { predicted } from "./png-pixels.ts";
import { pngSignature } from "./png-reader.ts";

/**
 * A PNG file of the picture: 8 bits, colour or colour and alpha, not interlaced, each row with the filter that leaves
 * the smallest sum of absolute values (PNG specification, section 12.7). The same picture gives the same bytes.
 */
export function writePng({ width, height, channels, bytes }: Picture): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, channels === 3 ? 2 : 6, 0, 0, 0], 8);
  const data = deflateSync(filteredRows(bytes, width * channels, height, channels));
  const chunks = [chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", new Uint8Array(0))];
  return new Uint8Array(Buffer.concat([Uint8Array.from(pngSignature), ...chunks]));
}

function chunk(type: string, contents: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(12 + contents.length);
  bytes.writeUInt32BE(contents.length, 0);
  bytes.write(type, 4, "latin1");
  bytes.set(contents, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + contents.length)), 8 + contents.length);
  return bytes;
}

function filteredRows(bytes: Uint8Array, stride: number, rows: number, pixelBytes: number): Uint8Array {
  const out = new Uint8Array(rows * (stride + 1));
  const tried = Array.from({ length: 5 }, () => new Uint8Array(stride));
  let above: Uint8Array = new Uint8Array(stride);
  for (let y = 0; y < rows; y++) {
    const row = bytes.subarray(y * stride, (y + 1) * stride);
    let [best, least] = [0, Number.POSITIVE_INFINITY];
    for (const [filter, to] of tried.entries()) {
      const sum = applyFilter(filter, row, above, pixelBytes, to);
      if (sum < least) [best, least] = [filter, sum];
    }
    out[y * (stride + 1)] = best;
    out.set(tried[best] ?? row, y * (stride + 1) + 1);
    above = row;
  }
  return out;
}

/** Writes what a filter leaves of a row; gives the sum of its absolute values, bytes taken as −128 … 127. */
function applyFilter(filter: number, row: Uint8Array, above: Uint8Array, pixelBytes: number, to: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < row.length; i++) {
    const left = i < pixelBytes ? 0 : (row[i - pixelBytes] ?? 0);
    const upperLeft = i < pixelBytes ? 0 : (above[i - pixelBytes] ?? 0);
    const rest = ((row[i] ?? 0) - predicted(filter, left, above[i] ?? 0, upperLeft)) & 255;
    to[i] = rest;
    sum += rest < 128 ? rest : 256 - rest;
  }
  return sum;
}
