import type Sharp from "sharp";
import { DataError, UnsupportedError } from "../core/errors.ts";
import type { Picture, ReadPictureOptions } from "./picture.ts";
import { checkPictureSize } from "./picture.ts";

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
export async function readWithSharp(bytes: Uint8Array, options: ReadPictureOptions = {}): Promise<Picture> {
  const { name = "picture" } = options;
  const sharp = await loadSharp(name);
  try {
    const image = sharp(bytes, { limitInputPixels: false, failOn: "truncated" });
    const { width, height } = await image.metadata();
    checkPictureSize(width, height, options);
    const { data, info } = await image
      .autoOrient()
      .toColourspace("srgb")
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true });
    return ofChannels(info.width, info.height, info.channels, data);
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
