import { crc32, deflateSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { DataError } from "../core/errors.ts";
import type { Picture } from "./picture.ts";
import { readPng } from "./png-reader.ts";
import { writePng } from "./png-writer.ts";

const pictures = fc
  .record({ width: fc.integer({ min: 1, max: 9 }), height: fc.integer({ min: 1, max: 9 }), alpha: fc.boolean() })
  .chain(({ width, height, alpha }) => {
    const channels: 3 | 4 = alpha ? 4 : 3;
    const length = width * height * channels;
    return fc
      .uint8Array({ minLength: length, maxLength: length })
      .map((bytes): Picture => ({ width, height, channels, bytes }));
  });

test("what is written is read back", () => {
  fc.assert(
    fc.property(pictures, (picture) => {
      expect(readPng(writePng(picture))).toEqual(picture);
    }),
  );
});

test("what is cut off or changed anywhere is one line or a picture", () => {
  fc.assert(
    fc.property(pictures, fc.nat(), fc.nat({ max: 255 }), fc.boolean(), (picture, place, value, cut) => {
      const whole = writePng(picture);
      const bytes = cut ? whole.slice(0, place % whole.length) : whole.with(place % whole.length, value);
      try {
        expect(readPng(bytes).width).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toBeInstanceOf(DataError);
        expect((error as Error).message).toMatch(/^picture: .*; .*$/);
      }
    }),
  );
});

/** A file of rows that begin with the number of their filter. */
function png(header: readonly number[], rows: readonly (readonly number[])[], more: [string, number[]][] = []): Buffer {
  const chunks = [
    ["IHDR", header] as const,
    ...more,
    ["IDAT", [...deflateSync(Uint8Array.from(rows.flat()))]] as const,
  ];
  const parts = [...chunks, ["IEND", []] as const].map(([type, contents]) => {
    const body = Buffer.from([...Buffer.from(type), ...contents]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(contents.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  });
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), ...parts]);
}

/** A header of a picture, width and height below 256. */
const header = (width: number, height: number, depth: number, colour: number, interlace = 0): number[] => {
  return [0, 0, 0, width, 0, 0, 0, height, depth, colour, 0, 0, interlace];
};
const bytesOf = (file: Uint8Array): number[] => [...readPng(file).bytes];

test("reads grey of 1, 2, 4 and 16 bits", () => {
  expect(bytesOf(png(header(3, 1, 1, 0), [[0, 0b10100000]]))).toEqual([255, 255, 255, 0, 0, 0, 255, 255, 255]);
  expect(bytesOf(png(header(3, 1, 2, 0), [[0, 0b01101100]]))).toEqual([85, 85, 85, 170, 170, 170, 255, 255, 255]);
  expect(bytesOf(png(header(2, 1, 4, 0), [[0, 0x3f]]))).toEqual([51, 51, 51, 255, 255, 255]);
  // 0x8081 is 32,897 of 65,535: 128.003 of 255; 0x017f is 1.49.
  expect(bytesOf(png(header(2, 1, 16, 0), [[0, 0x80, 0x81, 0x01, 0x7f]]))).toEqual([128, 128, 128, 1, 1, 1]);
});

test("reads palettes with transparency, grey with alpha, and one colour that is clear", () => {
  const palette: [string, number[]][] = [
    ["PLTE", [1, 2, 3, 4, 5, 6]],
    ["tRNS", [7]],
  ];
  expect(bytesOf(png(header(2, 1, 8, 3), [[0, 1, 0]], palette))).toEqual([4, 5, 6, 255, 1, 2, 3, 7]);
  expect(bytesOf(png(header(1, 1, 8, 4), [[0, 9, 200]]))).toEqual([9, 9, 9, 200]);
  const clear: [string, number[]][] = [["tRNS", [0, 1, 0, 2, 0, 3]]];
  expect(bytesOf(png(header(2, 1, 8, 2), [[0, 1, 2, 3, 1, 2, 4]], clear))).toEqual([1, 2, 3, 0, 1, 2, 4, 255]);
});

test("undoes all five filters", () => {
  const rows = [
    [1, 10, 1, 1],
    [2, 1, 2, 3],
    [3, 1, 1, 1],
    [4, 1, 0, 2],
  ];
  // Row 4, Paeth: 6 + 1; a = 7, b = 10, c = 6 → estimate 11, nearest 10; a = 10, b = 13, c = 10 → 13, nearest 13, + 2.
  const grey = [10, 11, 12, 11, 13, 15, 6, 10, 13, 7, 10, 15];
  expect(bytesOf(png(header(3, 4, 8, 0), rows)).filter((_, i) => i % 3 === 0)).toEqual(grey);
});

test("puts the passes of an interlaced picture in their places", () => {
  // Pass 1 has the upper left; 4 what is two to its right; 5 the same two of row 2; 6 those between; 7 all of row 1.
  const passes = [[1], [3], [7, 9], [2], [8], [4, 5, 6]];
  const file = png(
    header(3, 3, 8, 0, 1),
    passes.map((row) => [0, ...row]),
  );
  const grey = bytesOf(file).filter((_, i) => i % 3 === 0);
  expect(grey).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("refuses a size before it makes room for it", () => {
  const huge = png([0x7f, 255, 255, 255, 0x7f, 255, 255, 255, 8, 6, 0, 0, 0], [[0]]);
  expect(() => readPng(huge, { name: "huge.png" })).toThrow(
    "huge.png: 2147483647 × 2147483647 are more than 67,108,864 pixels; make the picture smaller",
  );
  const bomb = png(header(1, 1, 8, 0), [Array.from({ length: 300_000 }, () => 0)]);
  expect(() => readPng(bomb)).toThrow("picture: has pixels that cannot be unpacked; the PNG file is damaged");
});
