import { expect, test } from "vitest";
import { openBackend } from "../backend/index.ts";
import { filledPicture } from "../images/picture.ts";
import { nearestByPixels, retrieval } from "./retrieval.ts";

const names = ["a", "b", "c", "d", "e", "f", "g"].map((text, i) => ({ text, category: i < 2 ? "vowel" : "other" }));

test("counts the right name first, among five, and the category of what comes first", async () => {
  const rows: readonly (readonly number[])[] = [
    [9, 1, 1, 1, 1, 1, 1], // a comes first
    [9, 1, 2, 3, 4, 5, 0], // b is the sixth; a is of its category
    [9, 1, 5, 4, 3, 2, 0], // c is the second; a is of another
    [1, 1, 1, 1, 1, 1, 1], // all alike: nothing is found, and a is of another
  ];
  const found = await retrieval((i) => rows[i] ?? [], names, [0, 1, 2, 3]);
  expect(found).toEqual({ "r@1": 1 / 4, "r@5": 2 / 4, category: 2 / 4 });
  const unknown = names.map(({ text }) => ({ text, category: null }));
  expect(await retrieval((i) => rows[i] ?? [], unknown, [0])).toEqual({ "r@1": 1, "r@5": 1 });
});

test("the nearest picture by pixels gives its name; a name without pictures is never found", async () => {
  const backend = await openBackend({ name: "reference" });
  const grey = (value: number): ReturnType<typeof filledPicture> => filledPicture(1, 1, [value, value, value]);
  const known = [grey(0), grey(100), grey(110), grey(200)];
  const similarities = await nearestByPixels(backend, [grey(105), grey(190)], known, [0, 1, 0, -1], 3);
  const [near, far] = [similarities(0), similarities(1)];
  // 105 is as far from 100 (name 1) as from 110 (name 0): 3 · (5 / 255)².
  expect(near[0]).toBeCloseTo(-3 * (5 / 255) ** 2, 5);
  expect(near[1]).toBeCloseTo(near[0] ?? 0, 5);
  expect(far[0]).toBeCloseTo(-3 * (80 / 255) ** 2, 5);
  expect(far[2]).toBe(Number.NEGATIVE_INFINITY);
});
