import fc from "fast-check";
import { expect, test } from "vitest";
import { AddedTokenMatcher, specialToken } from "./added-token.ts";

const letters = fc.constantFrom("<", "a", "]", "^", "-", "\\", "🙂", "é");
const contents = fc.uniqueArray(fc.string({ unit: letters, minLength: 1, maxLength: 4 }), {
  minLength: 1,
  maxLength: 8,
});

test("the leftmost token is found, and of those that begin there the longest, as alternatives of a pattern are", () => {
  fc.assert(
    fc.property(contents, fc.string({ unit: letters, maxLength: 30 }), (tokens, text) => {
      const escaped = [...tokens].sort((a, b) => b.length - a.length).map((token) => token.replace(/[\\^\]]/g, "\\$&"));
      const parts = text.split(new RegExp(`(${escaped.join("|")})`, "u")).filter((part) => part !== "");
      const matcher = new AddedTokenMatcher(tokens.map((token, id) => specialToken(token, id)));
      expect(matcher.split(text)).toEqual(parts.map((part) => (tokens.includes(part) ? tokens.indexOf(part) : part)));
    }),
  );
});

test("a text that ends inside a token has none of it", () => {
  const matcher = new AddedTokenMatcher([specialToken("<end>", 7), specialToken("<", 8)]);
  expect(matcher.split("x<end")).toEqual(["x", 8, "end"]);
  expect(matcher.split("x<end>")).toEqual(["x", 7]);
  expect(new AddedTokenMatcher([]).split("x")).toEqual(["x"]);
});
