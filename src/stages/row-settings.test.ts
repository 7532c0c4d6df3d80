import { expect, test } from "vitest";
import { longRowsNote, resolveContext } from "./row-settings.ts";

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
  const about = { total: 285, noun: "conversations", fate: "left out", longest: 1203, context: 512 };
  expect(longRowsNote({ ...about, count: 0, model: 8192 })).toBeNull();
  expect(longRowsNote({ ...about, count: 3, model: 8192 })).toBe(
    "left out 3 of 285 conversations: longer than the context of 512 tokens; the longest has 1203; --context 1203 keeps them whole",
  );
  expect(longRowsNote({ ...about, count: 3, model: 512 })).toMatch(
    /the model reads at most 512, whatever --context says$/,
  );
});
