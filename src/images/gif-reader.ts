import { DataError } from "../core/errors.ts";
import { lzwDecode } from "./lzw.ts";
import type { Picture, ReadPictureOptions } from "./picture.ts";
import { checkPictureSize, maxPixels } from "./picture.ts";

/** A picture of an animation. */
export interface Frame {
  readonly picture: Picture;
  /** Milliseconds for which it is shown. */
  readonly duration: number;
}

/** A stretch of an animation that is drawn over what is there. */
interface Patch {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly interlaced: boolean;
  readonly palette: Uint8Array;
  readonly indices: Uint8Array;
}

/** What stands before a patch: how long it is shown, what happens to it after, which index is clear. */
interface Control {
  readonly duration: number;
  readonly disposal: number;
  readonly clear: number;
}

/**
 * All pictures of a GIF file, each as it is seen: with what earlier ones left.
 *
 * @see https://www.w3.org/Graphics/GIF/spec-gif89a.txt
 * @throws {DataError} when the file is damaged, or its pictures together are too large.
 */
export function readGif(bytes: Uint8Array, options: ReadPictureOptions = {}): Frame[] {
  const cursor = new Cursor(bytes, options.name ?? "picture");
  cursor.take(6);
  const [width, height] = [cursor.uint16(), cursor.uint16()];
  checkPictureSize(width, height, options);
  const flags = cursor.byte();
  cursor.take(2);
  const palette = flags & 0x80 ? cursor.take(3 * 2 ** ((flags & 7) + 1)) : null;
  const animation = new Animation(width, height, palette);
  let control = noControl;
  // Some writers fill the end up with zeros.
  const isEnd = (block: number): boolean => block === 0x3b || (block === 0 && animation.frames.length > 0);
  for (let block = cursor.byte(); !isEnd(block); block = cursor.byte()) {
    if (block === 0x21) control = readExtension(cursor) ?? control;
    else if (block === 0x2c) {
      checkLength(animation, options);
      animation.add(readPatch(cursor, animation), control);
      control = noControl;
    } else throw cursor.damaged(`has a block 0x${block.toString(16)}, which GIF does not have`);
  }
  if (animation.frames.length === 0) throw cursor.damaged("holds no picture");
  return animation.frames;
}

const noControl: Control = { duration: 0, disposal: 0, clear: -1 };

function checkLength({ frames, width, height }: Animation, options: ReadPictureOptions): void {
  if ((frames.length + 1) * width * height <= (options.maxPixels ?? maxPixels)) return;
  const name = options.name ?? "picture";
  throw new DataError(`${name}: has more than ${frames.length} pictures of ${width} × ${height}; make it shorter`);
}

/** What is seen after each patch. */
class Animation {
  readonly frames: Frame[] = [];
  readonly width: number;
  readonly height: number;
  /** Of patches that have none of their own. */
  readonly palette: Uint8Array | null;
  readonly #canvas: Uint8Array;

  constructor(width: number, height: number, palette: Uint8Array | null) {
    [this.width, this.height, this.palette] = [width, height, palette];
    this.#canvas = new Uint8Array(width * height * 4);
  }

  add(patch: Patch, { duration, disposal, clear: clearIndex }: Control): void {
    const canvas = this.#canvas;
    const { width, height } = this;
    const before = disposal === 3 ? canvas.slice() : null;
    draw(patch, canvas, width, clearIndex);
    this.frames.push({ picture: { width, height, channels: 4, bytes: canvas.slice() }, duration });
    if (before) canvas.set(before);
    else if (disposal === 2) clear(patch, canvas, width);
  }
}

function readExtension(cursor: Cursor): Control | null {
  const label = cursor.byte();
  const [first = new Uint8Array(0)] = cursor.subBlocks();
  if (label !== 0xf9 || first.length < 4) return null;
  const [flags = 0, low = 0, high = 0, index = 0] = first;
  return { duration: 10 * (low | (high << 8)), disposal: (flags >> 2) & 7, clear: flags & 1 ? index : -1 };
}

function readPatch(cursor: Cursor, { palette: shared, ...size }: Animation): Patch {
  const [left, top, width, height] = [cursor.uint16(), cursor.uint16(), cursor.uint16(), cursor.uint16()];
  if (left + width > size.width || top + height > size.height || width * height === 0)
    throw cursor.damaged(`draws ${width} × ${height} pixels at ${left}, ${top} of ${size.width} × ${size.height}`);
  const flags = cursor.byte();
  const palette = flags & 0x80 ? cursor.take(3 * 2 ** ((flags & 7) + 1)) : shared;
  if (palette === null) throw cursor.damaged("has no palette");
  const codeSize = cursor.byte();
  if (codeSize < 1 || codeSize > 8) throw cursor.damaged(`has codes of ${codeSize} bits`);
  const indices = lzwDecode(Buffer.concat(cursor.subBlocks()), codeSize, width * height);
  if (indices === null) throw cursor.damaged("has pixels that cannot be unpacked");
  return { left, top, width, height, interlaced: (flags & 0x40) !== 0, palette, indices };
}

/** The rows of an interlaced patch in the order in which they come: every eighth, those between, and so on. */
function rowOrder(height: number, interlaced: boolean): number[] {
  const rows = Array.from({ length: height }, (_, y) => y);
  if (!interlaced) return rows;
  const every = (from: number, step: number): number[] => rows.filter((y) => y >= from && (y - from) % step === 0);
  return [...every(0, 8), ...every(4, 8), ...every(2, 4), ...every(1, 2)];
}

function draw(patch: Patch, canvas: Uint8Array, canvasWidth: number, clearIndex: number): void {
  const { left, top, width, palette, indices } = patch;
  for (const [i, y] of rowOrder(patch.height, patch.interlaced).entries()) {
    for (let x = 0; x < width; x++) {
      const index = indices[i * width + x] ?? 0;
      if (index === clearIndex) continue;
      const to = 4 * ((top + y) * canvasWidth + left + x);
      for (let c = 0; c < 3; c++) canvas[to + c] = palette[3 * index + c] ?? 0;
      canvas[to + 3] = 255;
    }
  }
}

function clear({ left, top, width, height }: Patch, canvas: Uint8Array, canvasWidth: number): void {
  for (let y = top; y < top + height; y++)
    canvas.fill(0, 4 * (y * canvasWidth + left), 4 * (y * canvasWidth + left + width));
}

/** Reads a file from front to back. */
class Cursor {
  readonly #bytes: Uint8Array;
  readonly #name: string;
  #at = 0;

  constructor(bytes: Uint8Array, name: string) {
    this.#bytes = bytes;
    this.#name = name;
  }

  damaged(what: string): DataError {
    return new DataError(`${this.#name}: ${what}; the GIF file is damaged, write it again`);
  }

  take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw this.damaged(`ends after ${this.#bytes.length} bytes, before its end`);
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  byte(): number {
    return this.take(1)[0] ?? 0;
  }

  uint16(): number {
    return this.byte() | (this.byte() << 8);
  }

  /** Pieces of up to 255 bytes, up to an empty one. */
  subBlocks(): Uint8Array[] {
    const blocks: Uint8Array[] = [];
    for (let length = this.byte(); length > 0; length = this.byte()) blocks.push(this.take(length));
    return blocks;
  }
}
