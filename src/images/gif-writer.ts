import { DataError } from "../core/errors.ts";
import type { Frame } from "./gif-reader.ts";
import { lzwEncode } from "./lzw.ts";
import { paletteOf } from "./palette.ts";
import { composite } from "./picture.ts";

/**
 * A GIF file that shows frames of one size one after the other, for ever, on white where they have alpha. All share
 * up to 256 colours, exact where there are no more; durations are rounded to hundredths of a second.
 *
 * @throws {DataError} when there are none, they differ in size, or a side has more than 65,535 pixels.
 */
export function writeGif(frames: readonly Frame[]): Uint8Array {
  const [first] = frames;
  if (!first) throw new DataError("gif: there are no pictures; give one at least");
  const { width, height } = first.picture;
  for (const { picture } of frames) {
    if (picture.width === width && picture.height === height && Math.max(width, height) < 65_536) continue;
    throw new DataError(`gif: ${picture.width} × ${picture.height} beside ${width} × ${height} pixels; resize them`);
  }
  const pictures = frames.map(({ picture }) => composite(picture));
  const { colours, indexOf } = paletteOf(pictures, 256);
  const bits = Math.max(2, Math.ceil(Math.log2(colours.length / 3)));
  const table = Buffer.alloc(3 * 2 ** bits);
  table.set(colours);
  const parts: Uint8Array[] = [
    Buffer.from("GIF89a"),
    Uint8Array.of(...uint16(width), ...uint16(height), 0xf0 | (bits - 1), 0, 0),
    table,
    Uint8Array.of(0x21, 0xff, 11, ...Buffer.from("NETSCAPE2.0"), 3, 1, 0, 0, 0),
  ];
  for (const [i, { bytes }] of pictures.entries()) {
    const duration = Math.round((frames[i]?.duration ?? 0) / 10);
    const indices = new Uint8Array(width * height);
    for (let p = 0; p < indices.length; p++)
      indices[p] = indexOf(((bytes[3 * p] ?? 0) << 16) | ((bytes[3 * p + 1] ?? 0) << 8) | (bytes[3 * p + 2] ?? 0));
    parts.push(Uint8Array.of(0x21, 0xf9, 4, 0, ...uint16(duration), 0, 0));
    parts.push(Uint8Array.of(0x2c, 0, 0, 0, 0, ...uint16(width), ...uint16(height), 0, bits));
    parts.push(...subBlocks(lzwEncode(indices, bits)));
  }
  return new Uint8Array(Buffer.concat([...parts, Uint8Array.of(0x3b)]));
}

function uint16(value: number): [number, number] {
  return [value & 255, value >> 8];
}

function subBlocks(bytes: Uint8Array): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += 255) {
    const block = bytes.subarray(at, at + 255);
    blocks.push(Uint8Array.of(block.length), block);
  }
  return [...blocks, Uint8Array.of(0)];
}
