import { expect, test } from "vitest";
import { counted } from "./counted.ts";

test("a noun is in the singular for one alone", () => {
  expect([0, 1, 2, 1500].map((n) => counted(n, "row"))).toEqual(["0 rows", "1 row", "2 rows", "1,500 rows"]);
  expect([1, 2].map((n) => counted(n, "match", "matches"))).toEqual(["1 match", "2 matches"]);
});
