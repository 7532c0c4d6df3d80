import { expect, test } from "vitest";
import { Random } from "../core/random.ts";
import { augment } from "./augment.ts";
import { writePatches } from "./patches.ts";
import { filledPicture } from "./picture.ts";

const still = { scale: [1, 1], rotation: 0, shift: 0, contrast: 0, mirror: 0 } as const;
/** 4 × 4, its left half black, its right half white. */
const halves = filledPicture(4, 4, [255, 255, 255]);
for (let y = 0; y < 4; y++) halves.bytes.fill(0, 12 * y, 12 * y + 6);
const reader = (seed = 1): ReturnType<Random["reader"]> => new Random(seed).reader();
/** The upper row, one colour. */
const row = (values: Float32Array): number[] => [0, 1, 2, 3].map((x) => values[3 * x] ?? Number.NaN);

test("without any change a picture is its own values; mirrored its left is right", () => {
  expect(row(augment(halves, 4, still, reader()))).toEqual([-1, -1, 1, 1]);
  expect(row(augment(halves, 4, { ...still, mirror: 1 }, reader()))).toEqual([1, 1, -1, -1]);
});

test("white comes in from outside, and the same numbers give the same picture", () => {
  // At twice the size only the middle is seen; at half of it there is white all around.
  expect(row(augment(filledPicture(4, 4, [0, 0, 0]), 4, { ...still, scale: [0.5, 0.5] }, reader()))).toEqual([
    1, 1, 1, 1,
  ]);
  const how = { scale: [0.8, 1.2], rotation: 20, shift: 0.1, contrast: 0.2, mirror: 0.5 } as const;
  const [one, again, other] = [1, 1, 2].map((seed) => augment(halves, 4, how, reader(seed)));
  expect(again).toEqual(one);
  expect(other).not.toEqual(one);
});

test("a quarter turn puts the left side on top or at the bottom", () => {
  const turned = Array.from({ length: 20 }, (_, seed) => augment(halves, 4, { ...still, rotation: 90 }, reader(seed)));
  // Angles lie between −90° and 90°: the top of some is nearly black, of others nearly white.
  const tops = turned.map((values) => ((values[3] ?? 0) + (values[6] ?? 0)) / 2);
  expect(Math.min(...tops)).toBeLessThan(-0.6);
  expect(Math.max(...tops)).toBeGreaterThan(0.6);
});

test("patches lie as the weights of a convolution do: colour by colour, each by rows", () => {
  const values = Float32Array.from({ length: 4 * 4 * 3 }, (_, i) => i);
  const patches = new Float32Array(48);
  writePatches(values, 4, 2, patches, 0);
  // The second patch begins at the third pixel: 6; its next row 12 further.
  expect([...patches.subarray(12, 24)]).toEqual([6, 9, 18, 21, 7, 10, 19, 22, 8, 11, 20, 23]);
});
