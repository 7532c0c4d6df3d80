import type Sharp from "sharp";
import { DataError, UnsupportedError } from "../core/errors.ts";
import type { Frame } from "./gif-reader.ts";
import type { Picture, ReadPictureOptions } from "./picture.ts";
import { checkPictureSize, crop } from "./picture.ts";

/**
 * The library that reads what this project does not read itself; an optional one.
 *
 * @param what - What it is needed for, as messages begin.
 * @throws {UnsupportedError} saying how to install it.
 */
async function loadSharp(what: string): Promise<typeof Sharp> {
  try {
    return (await import("sharp")).default;
  } catch (error) {
    const why = (error as { code?: unknown }).code === "ERR_MODULE_NOT_FOUND" ? "is not installed" : "does not load";
    throw new UnsupportedError(`${what}: is read with the package sharp, which ${why}; run: npm install sharp`, {
      cause: error,
    });
  }
}

/**
 * The first picture of a file in any format that `sharp` reads: WebP, SVG, AVIF, TIFF and others, turned as its metadata
 * say, in sRGB.
 *
 * @throws {UnsupportedError} when the package is not there.
 * @throws {DataError} when the file is damaged, too large or of no known format.
 */
export function readWithSharp(bytes: Uint8Array, options: ReadPictureOptions = {}): Promise<Picture> {
  return withSharp(options, async (sharp) => {
    const image = sharp(bytes, { limitInputPixels: false, failOn: "truncated" });
    const { width, height } = await image.metadata();
    checkPictureSize(width, height, options);
    const upright = image.autoOrient().toColourspace("srgb").raw({ depth: "uchar" });
    const { data, info } = await upright.toBuffer({ resolveWithObject: true });
    return ofChannels(info.width, info.height, info.channels, data);
  });
}

/**
 * All pictures of an animation in a format that `sharp` reads, such as WebP; of a still one, that one.
 *
 * @throws {UnsupportedError} when the package is not there.
 * @throws {DataError} when the file is damaged, its pictures together are too large, or it is of no known format.
 */
export function readFramesWithSharp(bytes: Uint8Array, options: ReadPictureOptions = {}): Promise<Frame[]> {
  return withSharp(options, async (sharp) => {
    const image = sharp(bytes, { limitInputPixels: false, failOn: "truncated", animated: true });
    const { width, pages = 1, pageHeight, height, delay = [] } = await image.metadata();
    checkPictureSize(width, (pageHeight ?? height) * pages, options);
    const { data, info } = await image
      .toColourspace("srgb")
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true });
    const all = ofChannels(info.width, info.height, info.channels, data);
    const own = info.height / pages;
    return Array.from({ length: pages }, (_, i) => ({
      picture: crop(all, 0, i * own, info.width, own),
      duration: delay[i] ?? 0,
    }));
  });
}

/** What is read with the library; its complaints in one line. */
async function withSharp<Result>(
  { name = "picture" }: ReadPictureOptions,
  read: (sharp: typeof Sharp) => Promise<Result>,
): Promise<Result> {
  const sharp = await loadSharp(name);
  try {
    return await read(sharp);
  } catch (error) {
    if (error instanceof DataError) throw error;
    const why = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw new DataError(`${name}: cannot be read (${why}); write the picture again, as PNG if you can`, {
      cause: error,
    });
  }
}

/** Grey and grey with alpha as colours. */
function ofChannels(width: number, height: number, given: number, data: Uint8Array): Picture {
  if (given === 3 || given === 4) return { width, height, channels: given, bytes: new Uint8Array(data) };
  const channels = given === 2 ? 4 : 3;
  const bytes = new Uint8Array(width * height * channels);
  for (let i = 0; i < width * height; i++) {
    bytes.fill(data[i * given] ?? 0, i * channels, i * channels + 3);
    if (channels === 4) bytes[i * channels + 3] = data[i * given + 1] ?? 0;
  }
  return { width, height, channels, bytes };
}
