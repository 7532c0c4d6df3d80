import { expect, test } from "vitest";
import type { AnsweredExample } from "./bag-of-words.ts";
import { bagOfWordsAccuracy } from "./bag-of-words.ts";

const rows = (count: number, row: (i: number) => AnsweredExample): AnsweredExample[] =>
  Array.from({ length: count }, (_, i) => row(i));

test("words that tell classes apart are learned, their order is not seen", () => {
  const byWord = rows(60, (i) => ({
    inputs: [[`${i % 3 === 0 ? "Red" : i % 3 === 1 ? "green" : "blue"} thing ${i % 7}`]],
    target: i % 3,
  }));
  expect(bagOfWordsAccuracy("classification", byWord, byWord, 3)).toBe(1);
  const byOrder = rows(60, (i) => ({ inputs: [[i % 2 === 0 ? "dog bites man" : "man bites dog"]], target: i % 2 }));
  expect(bagOfWordsAccuracy("classification", byOrder, byOrder, 2)).toBe(0.5);
});

test("of a pair it sees which words both have, of a similar pair not which text is first", () => {
  const shared = rows(80, (i) => ({
    inputs: [[`word${i} a`, i % 2 === 0 ? `word${i} b` : `other${i} b`]],
    target: i % 2,
  }));
  expect(bagOfWordsAccuracy("entailment", shared.slice(0, 40), shared.slice(40), 2)).toBe(1);
  const swapped = rows(40, (i) => ({ inputs: [i % 2 === 0 ? ["x", "y"] : ["y", "x"]], target: i % 2 }));
  expect(bagOfWordsAccuracy("similarity", swapped, swapped, 2)).toBe(0.5);
  expect(bagOfWordsAccuracy("entailment", swapped, swapped, 2)).toBe(1);
});

test("of answers it takes the one that has the context's words", () => {
  const choices = rows(60, (i) => {
    const inputs = [0, 1, 2].map((k) => [`about w${i}`, k === i % 3 ? `it is w${i}` : `it is w${i + k + 100}`]);
    return { inputs, target: i % 3 };
  });
  expect(bagOfWordsAccuracy("multiple-choice", choices.slice(0, 40), choices.slice(40), 0)).toBe(1);
});
