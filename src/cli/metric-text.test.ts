import { expect, test } from "vitest";
import { formatResult } from "./metric-text.ts";

test.each([
  [0.78912, "0.7891"],
  [-12.5, "-12.5000"],
  [9999.4999, "9999.4999"],
  [9999.9999, "1.00e+4"],
  [-123_456, "-1.23e+5"],
  [2.42e61, "2.42e+61"],
  [Number.POSITIVE_INFINITY, "Infinity"],
  [Number.NaN, "NaN"],
])("the result %d keeps to its column as %s", (value, text) => {
  expect(formatResult(value)).toBe(text);
  expect(text.length).toBeLessThanOrEqual(9);
});
