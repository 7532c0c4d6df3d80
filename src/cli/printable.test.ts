import fc from "fast-check";
import { expect, test } from "vitest";
import { printable, printableJson } from "./printable.ts";

test.each([
  ["a plain text", "a plain text"],
  ["two\nlines\tand a tab", "two\nlines\tand a tab"],
  ["of Windows\r\n", "of Windows\n"],
  ["gone\rhere", "gone\\x0dhere"],
  ["\u001b[2J\u001b]0;title\u0007", "\\x1b[2J\\x1b]0;title\\x07"],
  ["\u009b31m", "\\x9b31m"], // the same as ESC [, in one character
  ["\u007f\u0000\b", "\\x7f\\x00\\x08"],
  ["pay \u202e001\u202c", "pay \\u202e001\\u202c"],
  ["naïve, 世界, ‏שלום‏, 👩‍💻", "naïve, 世界, ‏שלום‏, 👩‍💻"],
])("%j is shown as %j", (text, shown) => {
  expect(printable(text)).toBe(shown);
});

test("JSON keeps its meaning and has no control character", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const shown = printableJson(JSON.stringify({ text }));
      expect(JSON.parse(shown)).toEqual({ text });
      expect(printable(shown)).toBe(shown);
    }),
  );
});
