import { expect, test } from "vitest";
import { readVerses } from "../../data/recipes/verses.ts";
import { kindness } from "./kindness.ts";
import { isWellFormed, verseRequests } from "./verse-requests.ts";

const verses = readVerses();

test("every 20th chapter is held out, and the edition's marks are gone", () => {
  expect(verses).toHaveLength(31_102);
  expect(verses[0]).toEqual({
    ...{ reference: "Genesis 1:1", book: 0, isHeldOut: false },
    text: "In the beginning God created the heaven and the earth.",
  });
  const held = new Set(verses.filter(({ isHeldOut }) => isHeldOut).map(({ reference }) => reference.split(":")[0]));
  expect(held.has("Genesis 8")).toBe(true);
  expect(held.size).toBe(Math.ceil((1189 - 7) / 20));
  expect(verses.some(({ text }) => /[[\]#]/.test(text))).toBe(false);
});

test("requests ask for what their verse gives", () => {
  const texts = new Set(verses.map(({ text }) => text));
  const requests = verseRequests(verses, 1);
  expect(requests.length).toBeGreaterThan(10_000);
  for (const { prompt, completion } of requests) {
    const [, theme, opening] = /^(?:A verse about (\w+)\.|Go on: (.+))$/.exec(prompt) ?? [];
    if (theme !== undefined) expect(completion).toContain(theme);
    expect(texts.has(theme === undefined ? `${opening} ${completion}` : completion)).toBe(true);
  }
  const wellFormed = requests.filter(({ prompt, completion }) => isWellFormed(prompt, completion, true));
  expect(wellFormed.length / requests.length).toBeGreaterThan(0.999);
  expect(verseRequests(verses, 1)).toEqual(requests);
});

test.each([
  ["A verse about mercy.", "The LORD is full of mercy and truth.", true, true],
  ["A verse about mercy.", "The LORD is full of mercy and truth.", false, false],
  ["A verse about mercy.", "the LORD is full of mercy.", true, false],
  ["A verse about mercy.", "The LORD is full of mercy and", true, false],
  ["Go on: And he said", "unto them, Come.", true, true],
  ["Go on: And he said", "unto them, Come", true, false],
  ["Go on: And he said", "Come.", true, false],
  ["Go on: And he said", "unto them,<|im_start|> Come.", true, false],
])("%s %s (ended: %s) is well formed: %s", (prompt, answer, ended, expected) => {
  expect(isWellFormed(prompt, answer, ended)).toBe(expected);
});

test("kindness by hand", () => {
  expect(kindness("Love thy neighbour, hate not.")).toBeCloseTo((10 * (3 - 3)) / 5);
  expect(kindness("Mercy and love")).toBeGreaterThan(kindness("War and wrath"));
  expect(kindness("")).toBe(0);
});
