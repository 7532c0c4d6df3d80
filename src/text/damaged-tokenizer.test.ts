import fc from "fast-check";
import { test } from "vitest";
import { StemmaError } from "../core/errors.ts";
import { trainByteLevelBpe } from "./bpe-trainer.ts";
import { CharacterTrainer } from "./characters.ts";
import { Gpt1BpeTrainer } from "./gpt1-trainer.ts";
import { tokenizerFromJson } from "./read-tokenizer.ts";
import type { TokenizerTrainer } from "./tokenizer-trainer.ts";
import { WordPieceTrainer } from "./word-piece-trainer.ts";

const text = "the quick the quick brown";

function learn(trainer: TokenizerTrainer): unknown {
  trainer.add(text);
  return trainer.train().toJson();
}

const split = { type: "Split", pattern: { Regex: "\\p{L}+" }, behavior: "Isolated", invert: false };
const byteLevel = trainByteLevelBpe([text], { vocabularySize: 262 }).toJson();
const files: readonly unknown[] = [
  byteLevel,
  { ...byteLevel, pre_tokenizer: { type: "Sequence", pretokenizers: [split, byteLevel.decoder] } },
  learn(new CharacterTrainer({ specialTokens: ["<|end|>"] })),
  learn(new Gpt1BpeTrainer({ vocabularySize: 40 })),
  learn(new WordPieceTrainer({ vocabularySize: 40 })),
];

/** A copy in which something, somewhere, is another value or gone. */
function damage(value: unknown, choices: readonly number[], replacement: unknown): unknown {
  const [choice, ...rest] = choices;
  if (typeof value !== "object" || value === null || choice === undefined) return replacement;
  const keys = Object.keys(value);
  const key = keys[choice % Math.max(1, keys.length)];
  if (key === undefined) return replacement;
  const changed = damage((value as Record<string, unknown>)[key], rest, replacement);
  if (Array.isArray(value)) return value.map((item, i) => (String(i) === key ? changed : item));
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, name === key ? changed : item]));
}

test("a damaged file is read or refused in one line, never worse", () => {
  const junk = fc.oneof(
    fc.constantFrom(null, undefined, {}, [], [[]], "", "x", "a b", -1, 0, 0.5, 2 ** 40, true, { type: "Sequence" }),
    fc.constantFrom(
      { type: "ByteLevel" },
      { type: "Split" },
      { type: "BPE", vocab: {} },
      { Regex: "(" },
      { String: "" },
    ),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...files),
      fc.array(fc.nat(30), { minLength: 1, maxLength: 4 }),
      junk,
      (file, choices, replacement) => {
        const json = damage(file, choices, replacement) as Record<string, unknown>;
        try {
          const tokenizer = tokenizerFromJson("tokenizer.json", json);
          tokenizer.decode(tokenizer.encode(text));
          tokenizer.toJson();
        } catch (error) {
          if (!(error instanceof StemmaError) || error.message.includes("\n")) throw error;
        }
      },
    ),
    { numRuns: 1000 },
  );
});
