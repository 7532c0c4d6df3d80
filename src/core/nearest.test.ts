import { expect, test } from "vitest";
import { nearest, suggestion } from "./nearest.ts";

test.each([
  ["stesp", "steps"],
  ["batchsize", "batch-size"],
  ["learning-rat", "learning-rate"],
  ["Steps", "steps"],
  ["widht", "width"],
  ["batch_size", "batch-size"],
  ["leanring-rate", "learning-rate"],
])("%s probably stands for %s", (word, expected) => {
  expect(nearest(word, ["batch-size", "learning-rate", "seed", "steps", "width"])).toBe(expected);
});

test("a word far from all stands for none", () => {
  expect(nearest("banana", ["steps", "seed"])).toBeNull();
  expect(nearest("", [])).toBeNull();
  expect(nearest("--vocab-size", ["--block-size", "--width"])).toBeNull();
  expect(nearest("vocabSize", ["blockSize"])).toBeNull();
});

test("a message ends with the suggestion or with what else to do", () => {
  expect(suggestion("gtp2", ["gpt2", "bert"], "; choose gpt2 or bert")).toBe("; did you mean gpt2?");
  expect(suggestion("--reward-model", ["--model", "--reward"], "")).toBe("; did you mean --reward?");
  expect(suggestion("--vocabulary", ["--vocab", "--vocabulary-size"], "")).toBe("; did you mean --vocabulary-size?");
  expect(suggestion("lama", ["gpt2", "bert"], "; choose gpt2 or bert")).toBe("; choose gpt2 or bert");
});
