import { expect, test } from "vitest";
import { strftime } from "./strftime.ts";

test.each([
  ["%d %b %Y", "05 Mar 2024"],
  ["%A, %-d. %B %y, day %j", "Tuesday, 5. March 24, day 065"],
  ["%H:%M:%S.%f %I %p %F %T %%", "09:07:03.042000 09 AM 2024-03-05 09:07:03 %"],
])("%s", (format, text) => {
  expect(strftime(new Date(2024, 2, 5, 9, 7, 3, 42), format)).toBe(text);
});

test("a directive that it does not know is named", () => {
  expect(() => strftime(new Date(), "%Q")).toThrow("strftime does not know %Q");
});
