import { expect, test } from "vitest";
import { mostOf } from "./most-of.ts";

test("the largest of more numbers than a call takes arguments", () => {
  expect(mostOf(new Array<number>(1_000_000).fill(3).fill(7, 999_999), (x) => x)).toBe(7);
  expect(mostOf([], () => 1)).toBe(0);
});
