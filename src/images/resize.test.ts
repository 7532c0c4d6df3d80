import { expect, test } from "vitest";
import { filledPicture } from "./picture.ts";
import type { Resampling } from "./resize.ts";
import { resize, resizeSquare } from "./resize.ts";

/** 5 × 4 grey values, of which PyTorch's `interpolate(…, antialias=True)` makes what is expected below. */
const grey = Array.from({ length: 20 }, (_, i) => (i * i * 37 + 11 * i) % 256);
const source = { width: 5, height: 4, channels: 3, bytes: Uint8Array.from(grey.flatMap((v) => [v, v, v])) } as const;
const resized = (width: number, height: number, how: Resampling): number[] =>
  [...resize(source, width, height, how).bytes].filter((_, i) => i % 3 === 0);

test.each([
  ["bilinear", 3, 2, [116, 127, 119, 168, 146, 206]],
  [
    "bicubic",
    7,
    9,
    [
      0, 5, 81, 177, 125, 113, 135, 22, 34, 84, 162, 129, 109, 110, 131, 99, 89, 127, 135, 93, 44, 223, 167, 109, 96,
      150, 104, 21, 247, 221, 157, 84, 183, 181, 119, 230, 249, 201, 83, 207, 253, 229, 151, 204, 198, 100, 185, 246,
      255, 56, 136, 178, 123, 147, 208, 255, 16, 108, 171, 132, 133, 194, 255,
    ],
  ],
  ["bicubic", 3, 2, [112, 127, 112, 172, 146, 214]],
] as const)("%s to %i × %i as PyTorch does it", (how, width, height, expected) => {
  expect(resized(width, height, how)).toEqual(expected);
});

test("area averages what lies under a pixel, parts by their share", () => {
  const row = { width: 3, height: 1, channels: 3, bytes: Uint8Array.from([0, 0, 0, 30, 60, 90, 90, 90, 90]) } as const;
  // [1 · 0 + ½ · 30] / 1.5 and [½ · 30 + 90] / 1.5
  expect([...resize(row, 2, 1, "area").bytes]).toEqual([10, 20, 30, 70, 80, 90]);
});

test("colours without cover do not bleed", () => {
  const edge = { width: 2, height: 1, channels: 4, bytes: Uint8Array.from([200, 100, 0, 255, 9, 9, 9, 0]) } as const;
  expect([...resize(edge, 1, 1, "area").bytes]).toEqual([200, 100, 0, 128]);
});

test("a square is taken from the middle, and a size has to be one", () => {
  const wide = filledPicture(30, 10, [1, 2, 3]);
  wide.bytes.set([255, 255, 255]);
  expect(resizeSquare(wide, 5)).toEqual(filledPicture(5, 5, [1, 2, 3]));
  expect(() => resize(wide, 0, 5)).toThrow("resize: 0 × 5 is no size; give two whole numbers above 0");
});
