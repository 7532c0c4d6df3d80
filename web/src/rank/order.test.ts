import { expect, test } from "vitest";
import type { Order } from "./order.ts";
import {
  listed,
  missing,
  moveDown,
  moveUp,
  noOrder,
  place,
  rankOf,
  takeBack,
  tieNext,
  toggleTie,
  written,
} from "./order.ts";

/** The order that keys make: digits, = and < for Backspace. */
function typed(keys: string): Order {
  return [...keys].reduce((order, key) => {
    if (key === "=") return tieNext(order);
    return key === "<" ? takeBack(order) : place(order, Number(key));
  }, noOrder);
}

test.each([
  ["31=42", "3 1=4 2"],
  ["3<1", "1"],
  ["31=<42", "3 1 4 2"],
  ["31=4<2", "3 1=2"],
  ["31=4<<2", "3 1 2"],
  ["33", "3"],
  ["=3", "3"],
  ["<", ""],
])("%s", (keys, expected) => {
  expect(written(typed(keys))).toBe(expected);
});

test.each([
  ["31=42", 4, "3 4 1 2"],
  ["31=42", 2, "3 2 1=4"],
  ["31=42", 3, "3 1=4 2"],
  ["31", 2, "3 1 2"],
])("%s, %i a place up", (keys, answer, expected) => {
  expect(written(moveUp(typed(keys), answer))).toBe(expected);
});

test.each([
  ["31=42", 1, "3 4 1 2"],
  ["31=42", 3, "1=4 3 2"],
  ["31=42", 2, "3 1=4"],
  ["31", 2, "3 1"],
])("%s, %i a place down", (keys, answer, expected) => {
  expect(written(moveDown(typed(keys), answer))).toBe(expected);
});

test.each([
  ["31=42", 4, "3 1 4 2"],
  ["31=42", 2, "3 1=4=2"],
  ["31=42", 1, "3=1=4 2"],
  ["31=42", 3, "3 1=4 2"],
])("%s, %i equal to the one before, or no longer", (keys, answer, expected) => {
  expect(written(toggleTie(typed(keys), answer))).toBe(expected);
});

test("ranks, the list, and what is missing", () => {
  const order = typed("31=4");
  expect([1, 2, 3, 4].map((answer) => rankOf(order, answer))).toEqual([2, 0, 1, 2]);
  expect(listed(order, 4)).toEqual([3, 1, 4, 2]);
  expect(missing(order, 4)).toBe("Answer 2 has no place yet.");
  expect(missing(order, 5)).toBe("Answers 2, 5 have no place yet.");
  expect(missing(typed("31=42"), 4)).toBe("");
  expect(missing(typed("1=2"), 2)).toMatch(/equal, which says nothing/);
});
