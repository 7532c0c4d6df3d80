import fc from "fast-check";
import { expect, test } from "vitest";
import { anyString } from "../../test/any-text.ts";
import { DataError, SettingsError } from "../core/errors.ts";
import { ByteLevelBpeTrainer, trainByteLevelBpe } from "./bpe-trainer.ts";
import { byteLevelAlphabet, spellBytes } from "./byte-alphabet.ts";
import { Gpt2Words } from "./gpt2-words.ts";

/** Algorithm 1 of Sennrich et al. as it is written: counts all pairs anew before each merge. */
function trainNaively(texts: readonly string[], size: number, minFrequency: number): [string, string][] {
  let words = texts.flatMap(wordsOf);
  const ids = new Map(byteLevelAlphabet.map((token, id) => [token, id]));
  const merges: [string, string][] = [];
  while (ids.size < size) {
    const counts = new Map<string, number>();
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++) {
        const pair = `${word[i]} ${word[i + 1]}`;
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
    }
    const rank = (pair: string): number[] => pair.split(" ").map((token) => ids.get(token)!);
    const [best] = [...counts].sort(([a, n], [b, m]) => {
      const [[a1, a2], [b1, b2]] = [rank(a), rank(b)];
      return m - n || a1! - b1! || a2! - b2!;
    });
    if (!best || best[1] < minFrequency) break;
    const [left, right] = best[0].split(" ") as [string, string];
    merges.push([left, right]);
    if (!ids.has(left + right)) ids.set(left + right, ids.size);
    words = words.map((word) => mergeAll(word, left, right));
  }
  return merges;
}

function wordsOf(text: string): string[][] {
  const scanner = new Gpt2Words().scan(text);
  const words: string[][] = [];
  while (scanner.next()) words.push([...spellBytes(scanner.bytes.subarray(scanner.start, scanner.end))]);
  return words;
}

function mergeAll(word: readonly string[], left: string, right: string): string[] {
  const merged: string[] = [];
  for (let i = 0; i < word.length; i++) {
    const isPair = word[i] === left && word[i + 1] === right;
    merged.push(isPair ? left + right : word[i]!);
    if (isPair) i += 1;
  }
  return merged;
}

test("merges are those of the plain algorithm", () => {
  // Few letters make many ties and overlapping pairs.
  const dense = fc.string({ unit: fc.constantFrom("a", "b", "c", " "), maxLength: 60 });
  fc.assert(
    fc.property(
      fc.array(fc.oneof(dense, anyString), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: 1, max: 3 }),
      (texts, learnt, minFrequency) => {
        fc.pre(texts.some((text) => text !== ""));
        const options = { vocabularySize: 256 + learnt, minFrequency, specialTokens: [] };
        const tokenizer = trainByteLevelBpe(texts, options);
        expect(tokenizer.merges).toEqual(trainNaively(texts, 256 + learnt, minFrequency));
        expect(tokenizer.vocabularySize).toBeLessThanOrEqual(256 + learnt);
      },
    ),
    { numRuns: 200 },
  );
});

test("the most frequent pair is merged first, ties by the lower left and then the lower right id", () => {
  const tokenizer = trainByteLevelBpe(["ba ab ab cd cd ba ba"], { vocabularySize: 262, specialTokens: [] });
  // "ba" occurs three times; what follows occurs twice, and "Ġ" has the highest of the left ids.
  expect(tokenizer.merges).toEqual([
    ["b", "a"],
    ["a", "b"],
    ["c", "d"],
    ["Ġ", "ba"],
    ["Ġ", "ab"],
    ["Ġ", "cd"],
  ]);
});

test("a repeated letter is merged from the left", () => {
  const tokenizer = trainByteLevelBpe(["aaaa aaaa"], { vocabularySize: 258, specialTokens: [] });
  expect(tokenizer.merges).toEqual([
    ["a", "a"],
    ["aa", "aa"],
  ]);
  expect([...tokenizer.encode("aaaaa")].map((id) => tokenizer.tokenOf(id))).toEqual(["aaaa", "a"]);
});

test("the same text gives the same tokenizer, in whatever pieces it comes", () => {
  const words = ["one fish", " two fish", "\n\nred fish", " blue fish"];
  const whole = trainByteLevelBpe([words.join("")], { vocabularySize: 290 });
  const trainer = new ByteLevelBpeTrainer({ vocabularySize: 290 });
  for (const piece of words) trainer.add(piece);
  expect(trainer.train().toJson()).toEqual(whole.toJson());
});

test("special tokens separate words, are not learnt, and come last", () => {
  const tokenizer = trainByteLevelBpe(["<|end|>".repeat(50), "ab ab"], {
    vocabularySize: 259,
    specialTokens: ["<|start|>", "<|end|>"],
  });
  expect(tokenizer.merges).toEqual([["a", "b"]]);
  expect([...tokenizer.specialTokens]).toEqual([
    ["<|start|>", 257],
    ["<|end|>", 258],
  ]);
  expect(tokenizer.roles).toEqual({ bos: "<|start|>", eos: "<|start|>", unk: "<|start|>" });
});

test("ids 0 to 255 are GPT-2's bytes", () => {
  const tokenizer = trainByteLevelBpe(["a"], { vocabularySize: 257 });
  expect(["!", "~", "¡", "ÿ", "Ā", "Ġ", "Ń"].map((token) => tokenizer.idOf(token))).toEqual([
    0, 93, 94, 187, 188, 220, 255,
  ]);
  expect(tokenizer.idOf("<|endoftext|>")).toBe(256);
});

test.each([
  [{ vocabularySize: 256 }, "must be an integer from 257 (256 bytes and 1 special tokens) to 1048576, got 256"],
  [{ vocabularySize: 300.5 }, "got 300.5"],
  [{ vocabularySize: Number.NaN }, "got NaN"],
  [{ vocabularySize: 2 ** 21 }, "got 2097152"],
  [{ vocabularySize: 300, minFrequency: 0 }, "the minimum frequency must be at least 1, got 0"],
  [{ vocabularySize: 300, specialTokens: [""] }, 'special token "" is empty; give it a text such as <|user|>'],
  [{ vocabularySize: 300, specialTokens: ["<a>", "<a>"] }, 'special token "<a>" is given twice; leave one out'],
])("%j is refused", (options, message) => {
  expect(() => new ByteLevelBpeTrainer(options)).toThrow(SettingsError);
  expect(() => new ByteLevelBpeTrainer(options)).toThrow(message);
});

test("nothing cannot be learnt from", () => {
  expect(() => trainByteLevelBpe(["", "<|endoftext|>"], { vocabularySize: 300 })).toThrow(DataError);
});
