import fc from "fast-check";
import type { Sharp } from "sharp";
import sharp from "sharp";
import { expect, test } from "vitest";
import { DataError } from "../core/errors.ts";
import { readGif } from "./gif-reader.ts";
import { writeGif } from "./gif-writer.ts";
import type { Picture } from "./picture.ts";
import { composite, filledPicture } from "./picture.ts";
import { writePng } from "./png-writer.ts";
import { pictureFormat, readFrames, readPicture } from "./read-picture.ts";

/** A smooth picture: what is lost in JPEG is small. */
const [width, height] = [37, 21];
const bytes = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
  const [x, y, c] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width), i % 3];
  return Math.round(128 + 100 * Math.sin(x / 9 + c) * Math.cos(y / 7 - c));
});
const smooth: Picture = { width, height, channels: 3, bytes };
const source = (): Sharp => sharp(bytes, { raw: { width, height, channels: 3 } });

const files = {
  png: writePng(smooth),
  "16-bit png": new Uint8Array(await source().toColourspace("rgb16").png({ progressive: true }).toBuffer()),
  jpeg: new Uint8Array(await source().jpeg({ quality: 95, chromaSubsampling: "4:4:4" }).toBuffer()),
  "progressive jpeg": new Uint8Array(
    await source().jpeg({ quality: 95, chromaSubsampling: "4:4:4", progressive: true }).toBuffer(),
  ),
  "grey jpeg": new Uint8Array(await source().greyscale().jpeg({ quality: 95 }).toBuffer()),
  gif: new Uint8Array(await source().gif().toBuffer()),
  webp: new Uint8Array(await source().webp({ quality: 95 }).toBuffer()),
};

function meanDifference(a: Picture, b: Uint8Array): number {
  return a.bytes.reduce((sum, value, i) => sum + Math.abs(value - (b[i] ?? 0)), 0) / a.bytes.length;
}

test.each(Object.entries(files))("%s is read as another library reads it", async (_, file) => {
  const picture = composite(await readPicture(file));
  const other = await sharp(file).toColourspace("srgb").removeAlpha().raw({ depth: "uchar" }).toBuffer();
  const expected =
    other.length === bytes.length ? other : Uint8Array.from(bytes, (_value, i) => other[Math.floor(i / 3)] ?? 0);
  expect([picture.width, picture.height]).toEqual([width, height]);
  expect(meanDifference(picture, expected)).toBeLessThan(1.5);
});

test("a CMYK JPEG becomes colours near its own", async () => {
  const file = new Uint8Array(await source().toColourspace("cmyk").jpeg({ quality: 95 }).toBuffer());
  const picture = await readPicture(file);
  // There is no colour profile in it that both would apply: the picture is the same, its colours are near.
  expect(meanDifference(picture, bytes)).toBeLessThan(40);
});

test("an SVG has alpha and the size that it says", async () => {
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" width="2" height="1"><rect width="1" height="1" fill="#f00"/></svg>';
  const { bytes: read, ...size } = await readPicture(new TextEncoder().encode(svg));
  expect(size).toEqual({ width: 2, height: 1, channels: 4 });
  expect([...read]).toEqual([255, 0, 0, 255, 0, 0, 0, 0]);
});

test("what a file is, is told by its bytes", () => {
  const formats = Object.values(files).map(pictureFormat);
  expect(formats).toEqual(["png", "png", "jpeg", "jpeg", "jpeg", "gif", "other"]);
});

test("cut off or changed, a file of any format is one line or a picture", async () => {
  const property = fc.asyncProperty(
    fc.constantFrom(...Object.values(files)),
    fc.nat(),
    fc.nat({ max: 255 }),
    fc.boolean(),
    async (whole, place, value, cut) => {
      const file = cut ? whole.slice(0, place % whole.length) : whole.with(place % whole.length, value);
      try {
        expect((await readPicture(file, { maxPixels: 100_000 })).width).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toBeInstanceOf(DataError);
        expect((error as Error).message).toMatch(/^picture: [^\n]*; [^\n]*$/);
      }
    },
  );
  await fc.assert(property, { numRuns: 200 });
});

test("sizes are refused before room is made, in every format", async () => {
  for (const file of Object.values(files)) {
    await expect(readPicture(file, { name: "x", maxPixels: 700 })).rejects.toThrow(
      "x: 37 × 21 are more than 700 pixels; make the picture smaller",
    );
  }
  await expect(readPicture(new Uint8Array(0))).rejects.toThrow("picture: is empty; write the picture again");
  await expect(readPicture(new TextEncoder().encode("no picture at all"))).rejects.toThrow(
    /^picture: cannot be read \(/,
  );
});

test("frames of a GIF are read back, and by another library", async () => {
  const dot = filledPicture(5, 3, [255, 255, 255]);
  const frames = [0, 1, 2].map((at) => {
    const moved = { ...dot, bytes: dot.bytes.slice() };
    moved.bytes.set([at, 20, 30], 3 * (5 + at));
    return { picture: moved, duration: 40 * (at + 1) };
  });
  const file = writeGif(frames);
  const read = readGif(file);
  expect(read.map(({ picture, duration }) => ({ picture: composite(picture), duration }))).toEqual(frames);
  const { data, info } = await sharp(file, { animated: true })
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  expect([info.width, info.height]).toEqual([5, 9]);
  expect([...data]).toEqual(frames.flatMap(({ picture }) => [...picture.bytes]));
  expect((await sharp(file).metadata()).delay).toEqual([40, 80, 120]);
});

test("more colours than a GIF has become their means, in boxes; long runs of codes are read back", async () => {
  const noise = Uint8Array.from({ length: 120 * 100 * 3 }, (_, i) => (Math.imul(i + 1, 2_654_435_761) >>> 24) & 255);
  const file = writeGif([{ picture: { width: 120, height: 100, channels: 3, bytes: noise }, duration: 0 }]);
  const [frame] = readGif(file);
  const ours = composite(frame?.picture ?? filledPicture(1, 1, [0, 0, 0]));
  expect([...ours.bytes]).toEqual([...(await sharp(file).removeAlpha().raw().toBuffer())]);
  // 256 boxes of a cube of 256³ have sides of about 40: a mean distance of 10 from their middles.
  expect(meanDifference(ours, noise)).toBeLessThan(14);
});

test("frames that cover a part leave what is there, and take away what they are told to", async () => {
  const colours = [
    [255, 0, 0, 255],
    [0, 255, 0, 128],
    [0, 0, 0, 0],
  ];
  const inputs = colours.map((colour) => Buffer.from(writePng(filledPicture(4, 4, colour))));
  const animation = await sharp(inputs, { join: { animated: true } })
    .gif({ delay: [10, 20, 30] })
    .toBuffer();
  const ours = readGif(new Uint8Array(animation));
  const { data } = await sharp(animation, { animated: true }).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  expect(ours.map(({ duration }) => duration)).toEqual([10, 20, 30]);
  expect([...Buffer.concat(ours.map(({ picture }) => composite(picture).bytes))]).toEqual([
    ...composite({ width: 4, height: 12, channels: 4, bytes: data }).bytes,
  ]);
});

test("frames of an animated WebP, and the one of a still picture", async () => {
  const colours = [
    [255, 0, 0, 255],
    [0, 0, 255, 255],
  ];
  const inputs = colours.map((colour) => Buffer.from(writePng(filledPicture(4, 3, colour))));
  const webp = await sharp(inputs, { join: { animated: true } })
    .webp({ lossless: true, delay: [40, 70] })
    .toBuffer();
  const frames = await readFrames(new Uint8Array(webp));
  expect(frames.map(({ picture, duration }) => [picture.width, picture.height, duration])).toEqual([
    [4, 3, 40],
    [4, 3, 70],
  ]);
  expect(frames.map(({ picture }) => composite(picture))).toEqual(
    colours.map((colour) => filledPicture(4, 3, colour.slice(0, 3))),
  );
  expect(await readFrames(files.png)).toEqual([{ picture: smooth, duration: 0 }]);
  await expect(readFrames(new Uint8Array(webp), { maxPixels: 23 })).rejects.toThrow("4 × 6 are more than 23 pixels");
});
