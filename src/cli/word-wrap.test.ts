import { expect, test } from "vitest";
import { Screen } from "../../test/screen.ts";
import { WordWrap } from "./word-wrap.ts";

/** Lines of a terminal so wide after the text came in pieces of so many characters. */
async function shown(text: string, columns: number, size = 1): Promise<string[]> {
  const screen = new Screen(columns, 10);
  const wrap = new WordWrap(() => screen.columns);
  const characters = [...text];
  for (let i = 0; i < characters.length; i += size) screen.write(wrap.add(characters.slice(i, i + size).join("")));
  screen.write(wrap.end());
  return (await screen.lines()).map((line) => line.trimEnd());
}

const tide = "A tide is a natural phenomenon that occurs";

test.each([1, 3, 100])("lines end between words, whatever pieces of %d characters they come in", async (size) => {
  expect(await shown(tide, 12, size)).toEqual(["A tide is a", "natural", "phenomenon", "that occurs"]);
  expect(await shown(tide, 11, size)).toEqual(["A tide is a", "natural", "phenomenon", "that occurs"]);
});

test("line breaks and indentation of the text stay, a full line gets no empty one after it", async () => {
  expect(await shown("if x:\n    go on and on\n\nend", 12)).toEqual(["if x:", "    go on", "and on", "", "end"]);
  expect(await shown("abcd efgh\nij", 9)).toEqual(["abcd efgh", "ij"]);
  expect(await shown("a\tbc def", 11)).toEqual(["a       bc", "def"]);
});

test("a word longer than a line is broken by the terminal, and the next one is measured from there", async () => {
  expect(await shown("see abcdefghijklmnop qr stu", 10)).toEqual(["see", "abcdefghij", "klmnop qr", "stu"]);
  expect(await shown("      abcdefghij", 10)).toEqual(["      abcd", "efghij"]);
});

test("characters of two columns and of none count as such, and lines end between Chinese ones", async () => {
  expect(await shown("ab 潮汐是一种自然现象", 8)).toEqual(["ab 潮汐", "是一种自", "然现象"]);
  expect(await shown("e\u0301te\u0301 chaud", 9)).toEqual(["e\u0301te\u0301 chaud"]);
});

test("a control character is as wide as what stands for it", async () => {
  expect(await shown("ab cd\u001bef", 9)).toEqual(["ab", "cd\\x1bef"]);
});

test("a window that becomes wider is filled, and where there is none nothing is changed", () => {
  let columns: number | null = 6;
  const wrap = new WordWrap(() => columns);
  expect(wrap.add("one two thr")).toBe("one\ntwo\nthr");
  columns = 20;
  expect(wrap.add("ee four ") + wrap.end()).toBe("ee four ");
  columns = null;
  expect(wrap.add("\u001b[1m five\r\n")).toBe("\u001b[1m five\r\n");
});
