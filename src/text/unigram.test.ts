import { Tokenizer as PeerTokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../../test/any-text.ts";
import { CheckpointError, DataError, SettingsError, UnsupportedError } from "../core/errors.ts";
import { inOneGo } from "../core/event-loop.ts";
import { tokenizerFromJson } from "./read-tokenizer.ts";
import { tokenizerFiles } from "./tokenizer-files.ts";
import { UnigramLattice } from "./unigram-lattice.ts";
import { seeding } from "./unigram-seeds.ts";
import { UnigramTrainer } from "./unigram-trainer.ts";

const text = "the quick brown fox, the quickest foxes\nthe end 日本 naïve 🙂 ";

function learn(options: ConstructorParameters<typeof UnigramTrainer>[0]): ReturnType<UnigramTrainer["train"]> {
  const trainer = new UnigramTrainer(options);
  trainer.add(text.repeat(3));
  return trainer.train();
}

const learned = learn({ vocabularySize: 38, specialTokens: ["<|user|>"] });

test("@huggingface/tokenizers opens what is written and agrees; text can be cut where cutPoint says", () => {
  const files = tokenizerFiles(learned);
  const peer = new PeerTokenizer(JSON.parse(files["tokenizer.json"]!), JSON.parse(files["tokenizer_config.json"]!));
  const known = fc.array(fc.constantFrom(...text.split(/(?= )/), "</s>", "☃☃"), { maxLength: 12 });
  fc.assert(
    fc.property(
      fc.oneof(
        anyText,
        known.map((words) => words.join("")),
      ),
      anyText,
      (sample, more) => {
        const ids = [...learned.encode(sample)];
        expect(ids).toEqual(peer.encode(sample, { add_special_tokens: false }).ids);
        if (ids.length > 0) expect(learned.decode(ids)).toBe(peer.decode(ids));
        const cut = learned.cutPoint(sample);
        const parts = [sample.slice(0, cut), sample.slice(cut) + more].flatMap((part) => [...learned.encode(part)]);
        expect(parts).toEqual([...learned.encode(sample + more)]);
      },
    ),
    { numRuns: 200 },
  );
});

test("streamed text is the decoded text", () => {
  const ids = fc.array(fc.integer({ min: 0, max: learned.vocabularySize - 1 }), { maxLength: 20 });
  fc.assert(
    fc.property(ids, fc.boolean(), (tokens, skipSpecialTokens) => {
      const stream = learned.streamDecoder({ skipSpecialTokens });
      const pieces = tokens.map((id) => stream.push(id));
      expect(pieces.join("") + stream.flush()).toBe(learned.decode(tokens, { skipSpecialTokens }));
      expect(tokens.map((id) => stream.push(id))).toEqual(pieces);
    }),
  );
});

test("the lattice has the probability of all segmentations, and each piece's share of it", () => {
  const [a, b, ab] = [0.5, 0.2, 0.3];
  const lattice = new UnigramLattice(
    [
      ["a", Math.log(a)],
      ["b", Math.log(b)],
      ["ab", Math.log(ab)],
    ],
    3,
  );
  const expected = new Float64Array(4);
  // "aab" is a|a|b or a|ab: 0.05 and 0.15.
  expect(lattice.addExpected("aab", 2, expected)).toBeCloseTo(Math.log(0.2), 12);
  const counts = [2 * (2 * 0.25 + 0.75), 2 * 0.25, 2 * 0.75, 0];
  for (const [i, count] of counts.entries()) expect(expected[i]).toBeCloseTo(count, 12);
  expect(lattice.best("aab").map(({ piece }) => piece)).toEqual([0, 2]);
  expect(lattice.best("aab", 2).map(({ piece }) => piece)).toEqual([0, 0, 1]);
  expect(lattice.best("🙂a")).toEqual([
    { piece: 3, start: 0, end: 2 },
    { piece: 0, start: 2, end: 3 },
  ]);
});

test("seeds are characters, then substrings by the text that they take up, but for those that a longer one stands for", () => {
  const words = [
    { word: "abc", count: 3 },
    { word: "bd", count: 1 },
  ];
  expect(inOneGo(seeding(words, 4, 100))).toEqual([
    ...[
      ["b", 4],
      ["a", 3],
      ["c", 3],
      ["d", 1],
    ],
    ...[
      ["abc", 9],
      ["bc", 6],
    ],
  ]);
  expect(inOneGo(seeding(words, 2, 5)).slice(4)).toEqual([["bc", 6]]);
});

test("the same text gives the same tokenizer: special tokens first, all characters, the asked number of tokens", () => {
  expect(tokenizerFiles(learn({ vocabularySize: 38, specialTokens: ["<|user|>"] }))).toEqual(tokenizerFiles(learned));
  expect([0, 1, 2, 3].map((id) => learned.tokenOf(id))).toEqual(["<pad>", "</s>", "<unk>", "<|user|>"]);
  expect(learned.vocabularySize).toBe(38);
  expect([...text.trim()].every((character) => character === " " || learned.idOf(character) !== null)).toBe(true);
  expect(learned.decode(learned.encode(text.trim()))).toBe(text.trim());
  expect([...learned.frame(Int32Array.of(9), Int32Array.of(8)).ids]).toEqual([9, 1, 8, 1]);
  expect(learned.endOfText).toBe(1);
  const fewer = learn({ vocabularySize: 20, alphabetLimit: 8 });
  expect([...fewer.encode("日")].at(-1)).toBe(2);
});

test("what cannot be is refused", () => {
  expect(() => learn({ vocabularySize: 10 })).toThrow(SettingsError);
  expect(() => new UnigramTrainer({ vocabularySize: 9, longestPiece: 0 })).toThrow(
    "longestPiece must be at least 1, got 0",
  );
  expect(() => new UnigramTrainer({ vocabularySize: 9 }).train()).toThrow(DataError);
  const json = learned.toJson();
  const changed =
    (part: object): (() => unknown) =>
    () =>
      tokenizerFromJson("x", { ...json, ...part });
  expect(changed({ model: { ...json.model, unk_id: 38 } })).toThrow(
    new CheckpointError("x: unk_id is 38, but the vocabulary has 38 tokens; fetch or write the file again"),
  );
  expect(changed({ normalizer: { type: "Precompiled", precompiled_charsmap: "AAAA" } })).toThrow(CheckpointError);
  expect(changed({ normalizer: { type: "Precompiled", precompiled_charsmap: "%" } })).toThrow(CheckpointError);
  expect(changed({ normalizer: { type: "Nmt" } })).toThrow(UnsupportedError);
  expect(changed({ pre_tokenizer: { type: "Digits" } })).toThrow(UnsupportedError);
  expect(changed({ decoder: { type: "ByteLevel" } })).toThrow(UnsupportedError);
  const first = { type: "Metaspace", replacement: "▁", prepend_scheme: "first" };
  expect(changed({ normalizer: { type: "Strip" }, pre_tokenizer: first })).toThrow(UnsupportedError);
  const strict = tokenizerFromJson("x", { ...json, model: { ...json.model, unk_id: null } });
  expect(() => strict.encode("☃")).toThrow(DataError);
});
