import { DataError } from "../core/errors.ts";

/** A picture in memory: 8 bits a channel, rows from the top, alpha not multiplied into the colours. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** 3: red, green, blue; 4: and alpha, 255 where it covers. */
  readonly channels: 3 | 4;
  /** `[height, width, channels]` */
  readonly bytes: Uint8Array;
}

/** What a reader of pictures is told beside the bytes. */
export interface ReadPictureOptions {
  /** What messages call the picture. Default: `picture`. */
  readonly name?: string;
  /** Most pixels that are made room for. Default: {@link maxPixels}. */
  readonly maxPixels?: number;
}

/** Most pixels of a picture that is read without asking for more: 8,192 × 8,192, 256 MB with alpha. */
export const maxPixels = 2 ** 26;

/** A picture of one colour, `[red, green, blue]` or with alpha. */
export function filledPicture(width: number, height: number, colour: readonly number[]): Picture {
  const channels = colour.length === 4 ? 4 : 3;
  const bytes = new Uint8Array(width * height * channels);
  for (let i = 0; i < bytes.length; i++) bytes[i] = colour[i % channels] ?? 0;
  return { width, height, channels, bytes };
}

/**
 * Refuses a picture without pixels, or with more than are to be made room for, before that is done.
 *
 * @throws {DataError}
 */
export function checkPictureSize(width: number, height: number, options: ReadPictureOptions): void {
  const { name = "picture", maxPixels: limit = maxPixels } = options;
  if (!(width > 0 && height > 0))
    throw new DataError(`${name}: is ${width} × ${height} pixels large; it is damaged, write it again`);
  if (width * height <= limit) return;
  throw new DataError(
    `${name}: ${width} × ${height} are more than ${limit.toLocaleString("en-US")} pixels; make the picture smaller`,
  );
}

/** The picture on a background (white by default), without alpha. */
export function composite(picture: Picture, background: readonly [number, number, number] = [255, 255, 255]): Picture {
  if (picture.channels === 3) return picture;
  const { width, height, bytes } = picture;
  const out = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const alpha = bytes[4 * pixel + 3] ?? 0;
    for (let c = 0; c < 3; c++) {
      const over = (bytes[4 * pixel + c] ?? 0) * alpha + (background[c] ?? 0) * (255 - alpha);
      out[3 * pixel + c] = Math.round(over / 255);
    }
  }
  return { width, height, channels: 3, bytes: out };
}

/** The stretch of a picture that begins at `left`, `top`; it has to lie within. */
export function crop(picture: Picture, left: number, top: number, width: number, height: number): Picture {
  const { channels } = picture;
  const bytes = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * picture.width + left) * channels;
    bytes.set(picture.bytes.subarray(start, start + width * channels), y * width * channels);
  }
  return { width, height, channels, bytes };
}

/** How {@link contactSheet} lays pictures out. */
export interface SheetOptions {
  /** Pictures in a row. Default: as many as make the sheet square. */
  readonly columns?: number;
  /** Pixels between pictures and around them. Default: 2. */
  readonly gap?: number;
  /** Default: white. */
  readonly background?: readonly [number, number, number];
}

/**
 * All pictures on one, row after row, each at the upper left of a cell as large as the largest.
 *
 * @throws {DataError} when there are none.
 */
export function contactSheet(pictures: readonly Picture[], options: SheetOptions = {}): Picture {
  if (pictures.length === 0) throw new DataError("contact sheet: there are no pictures; give one at least");
  const { columns = Math.ceil(Math.sqrt(pictures.length)), gap = 2, background = [255, 255, 255] } = options;
  const across = Math.min(columns, pictures.length);
  const cellWidth = Math.max(...pictures.map(({ width }) => width)) + gap;
  const cellHeight = Math.max(...pictures.map(({ height }) => height)) + gap;
  const rows = Math.ceil(pictures.length / across);
  const sheet = filledPicture(across * cellWidth + gap, rows * cellHeight + gap, background);
  for (const [i, picture] of pictures.entries()) {
    const { width, height, bytes } = composite(picture, background);
    const left = gap + (i % across) * cellWidth;
    const top = gap + Math.floor(i / across) * cellHeight;
    for (let y = 0; y < height; y++) {
      sheet.bytes.set(bytes.subarray(3 * y * width, 3 * (y + 1) * width), 3 * ((top + y) * sheet.width + left));
    }
  }
  return sheet;
}
