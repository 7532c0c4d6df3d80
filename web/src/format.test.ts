import { expect, test } from "vitest";
import { countText, digitsText, durationText, momentText, percentText } from "./format.ts";

test.each([
  [0, "0.0 s"],
  [0.0384, "38 ms"],
  [0.9994, "999 ms"],
  [4.24, "4.2 s"],
  [200, "3 min 20 s"],
  [3900, "1 h 5 min"],
  [183_600, "2 d 3 h"],
])("%d seconds are %s", (seconds, text) => {
  expect(durationText(seconds)).toBe(text);
});

test.each([
  [1, "100 %"],
  [0.123, "12 %"],
  [0.00312, "0.3 %"],
  [0.0002, "0.02 %"],
  [2e-7, "10⁻⁷"],
  [0, "0 %"],
])("a probability of %d is %s", (probability, text) => {
  expect(percentText(probability)).toBe(text);
});

test("counts, measured numbers and moments", () => {
  expect([999, 50_257, 2_834_000, 1.1e9].map(countText)).toEqual(["999", "50,257", "2.83 M", "1.10 G"]);
  expect([0, 0.00042, 0.5, 12_345].map(digitsText)).toEqual(["0", "4.2e-4", "0.500", "1.2e+4"]);
  expect(momentText("<b>")).toBe("unknown");
});
