import { expect, test } from "vitest";
import { Random } from "../core/random.ts";
import { contrastiveBatches, drawText } from "./described-pictures.ts";
import type { PictureRow } from "./picture-rows.ts";

const row = (text: string, more: Partial<PictureRow> = {}): PictureRow => {
  return { where: "x", picture: "x", text, texts: [], tags: [], category: null, ...more };
};

test("a batch has each text once, and an epoch all of them; other texts come beside", () => {
  // Three pictures of each of ten texts.
  const rows = Array.from({ length: 30 }, (_, i) => row(String(i % 10)));
  const choose = contrastiveBatches(rows, { batchSize: 5, moreTexts: 100, seed: 1 });
  const [first, second] = [choose(0), choose(1)];
  const textsOf = (numbers: readonly number[]): string[] => numbers.map((i) => rows[i]!.text);
  expect(new Set([...textsOf(first.shown), ...textsOf(second.shown)]).size).toBe(10);
  expect(new Set([...textsOf(first.shown), ...textsOf(first.textsOnly)]).size).toBe(10);
  expect(first.textsOnly).toHaveLength(5);
  expect(choose(0)).toEqual(first);
  expect(contrastiveBatches(rows, { batchSize: 5, moreTexts: 0, seed: 1 })(0).textsOnly).toEqual([]);
  // Over many epochs every picture is shown.
  expect(new Set(Array.from({ length: 100 }, (_, i) => choose(i).shown).flat()).size).toBe(30);
});

test("a text is drawn from what a row has", () => {
  const draw = (own: PictureRow): Set<string> =>
    new Set(Array.from({ length: 200 }, (_, i) => drawText(own, new Random(i).reader())));
  expect(draw(row("a cat"))).toEqual(new Set(["a cat"]));
  expect(draw(row("a cat", { texts: ["a cat", "kitty"] }))).toEqual(new Set(["a cat", "kitty"]));
  expect(draw(row("a cat", { tags: ["pet"] }))).toEqual(new Set(["a cat", "a cat pet pet pet"]));
});
