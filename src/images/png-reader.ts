import { crc32, inflateSync } from "node:zlib";
import { DataError } from "../core/errors.ts";
import type { Picture, ReadPictureOptions } from "./picture.ts";
import { checkPictureSize } from "./picture.ts";
import type { PngLayout } from "./png-pixels.ts";
import { filteredLength, samplesOf, unfiltered } from "./png-pixels.ts";

/** The bytes that a PNG file begins with. */
export const pngSignature: readonly number[] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** What is read of a file's chunks. */
interface PngParts {
  readonly layout: PngLayout;
  readonly palette: Uint8Array | null;
  readonly transparency: Uint8Array | null;
  readonly data: readonly Uint8Array[];
}

/**
 * The picture of a PNG file, of any bit depth, palette or interlacing; 16 bits are rounded to 8, an animation is its
 * first picture. Gamma and colour profiles are passed over. It has alpha where the file has.
 *
 * @see https://www.w3.org/TR/png-3/
 * @throws {DataError} when the file is damaged or too large.
 */
export function readPng(bytes: Uint8Array, options: ReadPictureOptions = {}): Picture {
  const name = options.name ?? "picture";
  const parts = readChunks(bytes, name, options);
  const filtered = inflated(parts, name);
  const samples = unfiltered(parts.layout, filtered);
  if (samples === null) throw damaged(name, "has a row with a filter that PNG does not have");
  const { width, height, colourType } = parts.layout;
  const hasAlpha = colourType >= 4 || parts.transparency !== null;
  const channels = hasAlpha ? 4 : 3;
  const picture = { width, height, channels, bytes: new Uint8Array(width * height * channels) } as const;
  if (colourType === 3) colourByPalette(picture, samples, parts, name);
  else colour(picture, samples, parts);
  return picture;
}

function damaged(name: string, what: string, cause?: unknown): DataError {
  return new DataError(`${name}: ${what}; the PNG file is damaged, write it again`, cause ? { cause } : {});
}

function readChunks(bytes: Uint8Array, name: string, options: ReadPictureOptions): PngParts {
  let layout: PngLayout | null = null;
  let palette: Uint8Array | null = null;
  let transparency: Uint8Array | null = null;
  const data: Uint8Array[] = [];
  for (const { type, contents } of chunksOf(bytes, name)) {
    if (type === "IHDR") layout = readHeader(contents, name, options);
    if (layout === null) throw damaged(name, "does not begin with its header");
    if (type === "PLTE") palette = contents;
    else if (type === "tRNS" && layout.colourType < 4) transparency = contents;
    else if (type === "IDAT") data.push(contents);
  }
  if (layout === null) throw damaged(name, "has no header");
  return { layout, palette, transparency, data };
}

/** The chunks that matter for the picture, up to the last, each with the right checksum. */
function* chunksOf(bytes: Uint8Array, name: string): Generator<{ type: string; contents: Uint8Array }> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = pngSignature.length, type = ""; type !== "IEND"; ) {
    const length = at + 12 <= bytes.length ? view.getUint32(at) : 0;
    const end = at + 8 + length;
    if (end + 4 > bytes.length) throw damaged(name, `ends after ${bytes.length} bytes, before its last chunk`);
    type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (/^(IHDR|PLTE|tRNS|IDAT|IEND)$/.test(type)) {
      if (crc32(bytes.subarray(at + 4, end)) !== view.getUint32(end))
        throw damaged(name, `has another checksum of chunk ${type} than its bytes`);
      yield { type, contents: bytes.subarray(at + 8, end) };
    }
    at = end + 4;
  }
}

const depths: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};

function readHeader(contents: Uint8Array, name: string, options: ReadPictureOptions): PngLayout {
  if (contents.length !== 13) throw damaged(name, `has a header of ${contents.length} bytes instead of 13`);
  const view = new DataView(contents.buffer, contents.byteOffset);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth = 0, colourType = 0, compression, filter, interlace = 0] = contents.subarray(8);
  if (!depths[colourType]?.includes(depth))
    throw damaged(name, `has colour type ${colourType} with ${depth} bits, which PNG does not have`);
  if (compression !== 0 || filter !== 0 || interlace > 1) throw damaged(name, "has a header that PNG does not have");
  checkPictureSize(width, height, options);
  return { width, height, depth, colourType, interlaced: interlace === 1 };
}

function inflated({ layout, data }: PngParts, name: string): Uint8Array {
  const length = filteredLength(layout);
  try {
    // What some writers leave behind the last row is passed over.
    const bytes = inflateSync(Buffer.concat(data), { maxOutputLength: length + 65_536 });
    if (bytes.length >= length) return bytes;
  } catch (error) {
    throw damaged(name, "has pixels that cannot be unpacked", error);
  }
  throw damaged(name, "has fewer pixels than its header says");
}

function colourByPalette(picture: Picture, samples: Uint16Array, parts: PngParts, name: string): void {
  const { palette, transparency } = parts;
  if (palette === null) throw damaged(name, "has no palette");
  for (const [pixel, index] of samples.entries()) {
    if (3 * index + 2 >= palette.length) throw damaged(name, `names colour ${index} of ${palette.length / 3}`);
    const to = pixel * picture.channels;
    picture.bytes.set(palette.subarray(3 * index, 3 * index + 3), to);
    if (transparency) picture.bytes[to + 3] = transparency[index] ?? 255;
  }
}

function colour(picture: Picture, samples: Uint16Array, { layout, transparency }: PngParts): void {
  const count = samplesOf[layout.colourType] ?? 1;
  const colours = count < 3 ? 1 : 3;
  const max = 2 ** layout.depth - 1;
  const { channels, bytes } = picture;
  const alphaAt = (from: number): number => {
    if (count !== colours) return Math.round(((samples[from + colours] ?? 0) * 255) / max);
    return transparency && isClear(samples, from, colours, transparency) ? 0 : 255;
  };
  for (let from = 0, to = 0; to < bytes.length; from += count, to += channels) {
    for (let c = 0; c < 3; c++) bytes[to + c] = Math.round(((samples[from + (c % colours)] ?? 0) * 255) / max);
    if (channels === 4) bytes[to + 3] = alphaAt(from);
  }
}

/** Whether a pixel has the one colour, of two bytes a sample, that covers nothing. */
function isClear(samples: Uint16Array, from: number, colours: number, clear: Uint8Array): boolean {
  for (let c = 0; c < colours; c++) {
    if (samples[from + c] !== (((clear[2 * c] ?? 0) << 8) | (clear[2 * c + 1] ?? 0))) return false;
  }
  return true;
}
