import { expect, test } from "vitest";
import { noteLongRows, resolveContext } from "./row-settings.ts";

test.each([
  [null, [3, 70, 64], 8192, 128],
  [null, [64], 8192, 64],
  [null, [700, 9000], 512, 512],
  [null, [], 100, 64],
  [null, [5], 20, 20],
  [300, [5], 512, 300],
])("asked for %j, rows of %j tokens and a model of %i have a context of %i", (asked, lengths, model, context) => {
  expect(resolveContext(asked, lengths, model)).toBe(context);
});

test("more than the model reads is refused", () => {
  expect(() => resolveContext(513, [5], 512)).toThrow("context: 513 is more than the 512 tokens that the model reads");
});

test("what is said of long rows names the context that keeps them", () => {
  const about = { total: 285, noun: "conversations", longest: 1203, context: 512 };
  const said = (skipped: number, truncated: number, model: number): string[] => {
    const lines: string[] = [];
    noteLongRows((line) => void lines.push(line), { ...about, skipped, truncated, model });
    return lines;
  };
  const remedy = "longer than the context of 512 tokens; the longest has 1203; --context 1203 keeps them whole";
  expect(said(0, 0, 8192)).toEqual([]);
  expect(said(3, 0, 8192)).toEqual([`left out 3 of 285 conversations: ${remedy}`]);
  expect(said(0, 2, 8192)).toEqual([`cut the ends of 2 of 285 conversations: ${remedy}`]);
  expect(said(3, 0, 512)).toEqual([expect.stringMatching(/the model reads at most 512, whatever --context says$/)]);
});
