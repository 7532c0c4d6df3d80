import jpeg from "jpeg-js";
import { DataError } from "../core/errors.ts";
import type { Frame } from "./gif-reader.ts";
import { readGif } from "./gif-reader.ts";
import type { Picture, ReadPictureOptions } from "./picture.ts";
import { checkPictureSize, maxPixels } from "./picture.ts";
import { pngSignature, readPng } from "./png-reader.ts";
import { readFramesWithSharp, readWithSharp } from "./sharp.ts";

/** Formats by their first bytes. */
export type PictureFormat = "png" | "jpeg" | "gif" | "other";

/** What a file is by the bytes that it begins with, whatever its name says. */
export function pictureFormat(bytes: Uint8Array): PictureFormat {
  const beginsWith = (start: readonly number[]): boolean => start.every((byte, i) => bytes[i] === byte);
  if (beginsWith(pngSignature)) return "png";
  if (beginsWith([0xff, 0xd8, 0xff])) return "jpeg";
  return beginsWith([...Buffer.from("GIF8")]) ? "gif" : "other";
}

/**
 * The picture of a file, of an animation its first. PNG, JPEG and GIF are read here, everything else with the package
 * `sharp`, where that is installed.
 *
 * @throws {DataError} when the file is damaged, too large or no picture.
 * @throws {UnsupportedError} when the package is needed and not there.
 */
export async function readPicture(bytes: Uint8Array, options: ReadPictureOptions = {}): Promise<Picture> {
  const { name = "picture" } = options;
  if (bytes.length === 0) throw new DataError(`${name}: is empty; write the picture again`);
  const format = pictureFormat(bytes);
  if (format === "png") return readPng(bytes, options);
  if (format === "jpeg") return readJpeg(bytes, options);
  if (format === "gif") {
    const [first] = readGif(bytes, options);
    if (first) return first.picture;
  }
  return readWithSharp(bytes, options);
}

/**
 * All pictures of a file, each as it is seen: of GIF, and with the package `sharp` of animated WebP; of anything else one.
 *
 * @throws {DataError} as {@link readPicture} does, of all pictures together.
 * @throws {UnsupportedError} when the package is needed and not there.
 */
export async function readFrames(bytes: Uint8Array, options: ReadPictureOptions = {}): Promise<Frame[]> {
  const format = pictureFormat(bytes);
  if (format === "gif") return readGif(bytes, options);
  if (format === "other" && bytes.length > 0) return readFramesWithSharp(bytes, options);
  return [{ picture: await readPicture(bytes, options), duration: 0 }];
}

/**
 * The picture of a JPEG file, baseline or progressive, grey, YCbCr, CMYK or YCCK. Orientation and colour profile of its
 * metadata are passed over.
 *
 * @throws {DataError} when the file is damaged or too large.
 */
export function readJpeg(bytes: Uint8Array, options: ReadPictureOptions = {}): Picture {
  const { name = "picture", maxPixels: limit = maxPixels } = options;
  const size = jpegSize(bytes);
  if (size) checkPictureSize(...size, options);
  try {
    const limits = { maxResolutionInMP: Math.ceil(limit / 1e6), maxMemoryUsageInMB: 2048 };
    const { width, height, data } = jpeg.decode(bytes, {
      ...limits,
      useTArray: true,
      formatAsRGBA: false,
      tolerantDecoding: false,
    });
    return { width, height, channels: 3, bytes: data };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new DataError(`${name}: cannot be read (${why}); the JPEG file is damaged, write it again`, { cause: error });
  }
}

/** Width and height in the header of the first frame; null where there is none. */
function jpegSize(bytes: Uint8Array): [width: number, height: number] | null {
  const uint16 = (at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  for (let at = 2; at + 9 <= bytes.length && bytes[at] === 0xff; at += 2 + Math.max(2, uint16(at + 2))) {
    const marker = bytes[at + 1] ?? 0;
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return [uint16(at + 7), uint16(at + 5)];
  }
  return null;
}
