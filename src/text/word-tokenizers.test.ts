import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Tokenizer as PeerTokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { anyString, anyText } from "../../test/any-text.ts";
import { CheckpointError, DataError, SettingsError, UnsupportedError } from "../core/errors.ts";
import { Gpt1Bpe } from "./gpt1-bpe.ts";
import { Gpt1BpeTrainer } from "./gpt1-trainer.ts";
import { loadTokenizer } from "./load-tokenizer.ts";
import { tokenizerFromJson } from "./read-tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { tokenizerFiles } from "./tokenizer-files.ts";
import type { TokenizerTrainer } from "./tokenizer-trainer.ts";
import { WordPieceTrainer } from "./word-piece-trainer.ts";

const text =
  "The quick brown foxes, unaffable naïve dogs! THE foxes ran quickly; 日本 42 don't <|endoftext|> quickest. ";

function train<Trainer extends TokenizerTrainer>(trainer: Trainer, ...texts: string[]): ReturnType<Trainer["train"]> {
  for (const one of texts) trainer.add(one);
  return trainer.train() as ReturnType<Trainer["train"]>;
}

const wordPiece = train(new WordPieceTrainer({ vocabularySize: 120 }), text.repeat(3));
const cased = train(new WordPieceTrainer({ vocabularySize: 120, lowercase: false }), text.repeat(3));
const gpt1 = train(new Gpt1BpeTrainer({ vocabularySize: 120, specialTokens: ["<|endoftext|>"] }), text.repeat(3));

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "stemma-words-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function peerOf(tokenizer: Tokenizer): PeerTokenizer {
  const files = tokenizerFiles(tokenizer);
  return new PeerTokenizer(JSON.parse(files["tokenizer.json"]!), JSON.parse(files["tokenizer_config.json"]!));
}

function spelled(tokenizer: Tokenizer, ids: Iterable<number>): (string | null)[] {
  return Array.from(ids, (id) => tokenizer.tokenOf(id));
}

test.each([
  ["WordPiece", wordPiece],
  ["cased WordPiece", cased],
  ["GPT-1's BPE", gpt1],
])("%s: @huggingface/tokenizers opens what is written and agrees", (_, tokenizer) => {
  const peer = peerOf(tokenizer);
  const read = tokenizerFromJson("tokenizer.json", JSON.parse(JSON.stringify(tokenizer.toJson())), tokenizer.roles);
  const known = fc.array(fc.constantFrom(...text.split(/(?= )/), "[MASK]", "<|endoftext|>"), { maxLength: 12 });
  fc.assert(
    fc.property(
      fc.oneof(
        anyString,
        known.map((words) => words.join("")),
      ),
      (sample) => {
        // The peer separates no Chinese characters beyond the basic plane.
        const plain = sample.replaceAll(/[\u{20000}-\u{2fa1f}]/gu, "");
        const ids = [...tokenizer.encode(plain)];
        expect(ids).toEqual(peer.encode(plain, { add_special_tokens: false }).ids);
        if (ids.length > 0) expect(tokenizer.decode(ids)).toBe(peer.decode(ids));
        expect([...read.encode(sample)]).toEqual([...tokenizer.encode(sample)]);
      },
    ),
    { numRuns: 300 },
  );
  expect(tokenizerFiles(read)).toEqual(tokenizerFiles(tokenizer));
});

test.each([
  ["WordPiece", wordPiece],
  ["GPT-1's BPE", gpt1],
])("%s: streamed text is the decoded text, and text can be cut where cutPoint says", (_, tokenizer) => {
  const ids = fc.array(fc.integer({ min: 0, max: tokenizer.vocabularySize - 1 }), { maxLength: 20 });
  fc.assert(
    fc.property(ids, fc.boolean(), anyText, anyText, (tokens, skipSpecialTokens, first, second) => {
      const stream = tokenizer.streamDecoder({ skipSpecialTokens });
      const pieces = tokens.map((id) => stream.push(id));
      expect(pieces.join("") + stream.flush()).toBe(tokenizer.decode(tokens, { skipSpecialTokens }));
      expect(tokens.map((id) => stream.push(id))).toEqual(pieces);
      const cut = tokenizer.cutPoint(first);
      const parts = [first.slice(0, cut), first.slice(cut) + second].flatMap((part) => [...tokenizer.encode(part)]);
      expect(parts).toEqual([...tokenizer.encode(first + second)]);
    }),
  );
});

test("WordPiece takes the longest pieces from the left, and words without pieces are unknown", () => {
  const vocabulary = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "un",
    "##aff",
    "##able",
    "##a",
    "a",
    ",",
    "affable",
  ];
  const json = { ...wordPiece.toJson(), added_tokens: [], post_processor: null };
  const vocab = Object.fromEntries(vocabulary.map((token, id) => [token, id]));
  const tokenizer = tokenizerFromJson("x", { ...json, model: { ...json.model, vocab } });
  const pieces = (sample: string): (string | null)[] => spelled(tokenizer, tokenizer.encode(sample));
  expect(pieces("unaffable, UNAFFABLE")).toEqual(["un", "##aff", "##able", ",", "un", "##aff", "##able"]);
  expect(pieces("unaffables a")).toEqual(["[UNK]", "a"]);
  expect(pieces(`un${"a".repeat(98)}`)).toHaveLength(99);
  expect(pieces(`un${"a".repeat(99)}`)).toEqual(["[UNK]"]);
  expect(tokenizer.decode(tokenizer.encode("Unaffable , a"))).toBe("unaffable, a");
  expect(tokenizer.roles).toEqual({ unk: "[UNK]", cls: "[CLS]", sep: "[SEP]", pad: "[PAD]", mask: "[MASK]" });
});

test("BERT's words, beyond the basic plane as well", () => {
  const words = (sample: string, tokenizer = wordPiece): string => tokenizer.decode(tokenizer.encode(sample));
  expect(words("NAÏVE na\u0000ïve\u200b dogs\u2028dogs")).toBe("naive naive dogs dogs");
  expect(words("Foxes,don't!")).toBe("foxes, don ' t!");
  expect([...wordPiece.encode("q𠀀𠀀d").filter((id) => id === wordPiece.idOf("[UNK]"))]).toHaveLength(2);
  expect(words("THE", cased)).toBe("THE");
});

test("BERT's special tokens frame one text and a pair", () => {
  const [cls, sep] = [wordPiece.idOf("[CLS]")!, wordPiece.idOf("[SEP]")!];
  const [first, second] = [wordPiece.encode("fox"), wordPiece.encode("the dogs")];
  const zeros = (n: number): number[] => new Array(n).fill(0);
  const ones = (n: number): number[] => new Array(n).fill(1);
  expect(wordPiece.frame(first)).toEqual({
    ids: Int32Array.of(cls, ...first, sep),
    typeIds: Int32Array.from(zeros(first.length + 2)),
  });
  const pair = wordPiece.frame(first, second);
  expect(pair).toEqual({
    ids: Int32Array.of(cls, ...first, sep, ...second, sep),
    typeIds: Int32Array.from([...zeros(first.length + 2), ...ones(second.length + 1)]),
  });
  const peer = peerOf(wordPiece).encode("fox", { text_pair: "the dogs", return_token_type_ids: true });
  expect([peer.ids, peer.token_type_ids]).toEqual([[...pair.ids], [...pair.typeIds]]);
});

test.each([
  ["WordPiece", new WordPieceTrainer({ vocabularySize: 50 })],
  ["GPT-1's BPE", new Gpt1BpeTrainer({ vocabularySize: 50 })],
])("%s is learnt in steps of some hundred words, before the first merge too", (_, trainer) => {
  const letter = (digit: string): string => "abcdefghijklmnopqrst"[Number.parseInt(digit, 20)] ?? "";
  for (let i = 0; i < 5120; i++) trainer.add(i.toString(20).replaceAll(/./g, letter));
  const learning = trainer.training();
  let steps = 0;
  while (!learning.next().done) steps += 1;
  // Characters are counted, words spelled and words added.
  expect(steps).toBeGreaterThan((3 * 5120) / 256);
});

test("special tokens and characters come first, then merges by frequency", () => {
  const tokenizer = train(new WordPieceTrainer({ vocabularySize: 12 }), "ab abc ab ba");
  expect(
    spelled(
      tokenizer,
      Array.from({ length: tokenizer.vocabularySize }, (_, id) => id),
    ),
  ).toEqual([...["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], ...["a", "b", "##a", "##b", "##c"], "ab"]);
  const bpe = train(new Gpt1BpeTrainer({ vocabularySize: 8, minFrequency: 1 }), "Ab abc ab ba");
  expect(bpe.merges).toEqual([
    ["a", "b</w>"],
    ["a", "b"],
  ]);
  expect(spelled(bpe, [0, 1, 2, 3, 4, 5, 6, 7])).toEqual([
    "<unk>",
    "a",
    "b",
    "a</w>",
    "b</w>",
    "c</w>",
    "ab</w>",
    "ab",
  ]);
  expect(spelled(bpe, bpe.encode("ABC bad"))).toEqual(["ab", "c</w>", "b", "a", "<unk>"]);
  expect(bpe.decode(bpe.encode("AB  abc\nba"))).toBe("ab abc ba");
});

test("the rarest characters beyond the limit are left out", () => {
  const tokenizer = train(new WordPieceTrainer({ vocabularySize: 20, alphabetLimit: 2 }), "ab ab ba cb");
  expect(spelled(tokenizer, tokenizer.encode("ab cb c"))).toEqual(["ab", "[UNK]", "[UNK]"]);
});

test("GPT-1's own two files are read", async () => {
  const { model } = gpt1.toJson();
  writeFileSync(join(folder, "vocab.json"), JSON.stringify(model.vocab));
  writeFileSync(
    join(folder, "merges.txt"),
    ["#version: 0.2", ...gpt1.merges.map((pair) => pair.join(" ")), ""].join("\n"),
  );
  const read = await loadTokenizer(folder);
  expect(read).toBeInstanceOf(Gpt1Bpe);
  expect(read.encode(text, { recognizeSpecialTokens: false })).toEqual(
    gpt1.encode(text, { recognizeSpecialTokens: false }),
  );
  expect([...read.encode("☃ <unk>")]).toEqual([0, 0]);
});

test("BERT's own file is read", async () => {
  const path = mkdtempSync(join(folder, "bert-"));
  const tokens = Array.from({ length: wordPiece.vocabularySize }, (_, id) => wordPiece.tokenOf(id));
  writeFileSync(join(path, "vocab.txt"), [...tokens, ""].join("\n"));
  const read = await loadTokenizer(path);
  expect(read.encode(text)).toEqual(wordPiece.encode(text));
  expect(read.frame(Int32Array.of(7), Int32Array.of(8))).toEqual(wordPiece.frame(Int32Array.of(7), Int32Array.of(8)));
  expect(read.specialTokens).toEqual(wordPiece.specialTokens);
  writeFileSync(join(path, "tokenizer_config.json"), JSON.stringify({ do_lower_case: false }));
  const [the] = (await loadTokenizer(path)).encode("THE");
  expect(the).toBe(wordPiece.idOf("[UNK]"));
});

test("what cannot be is refused", () => {
  const json = wordPiece.toJson();
  const { "[UNK]": _, ...vocab } = json.model.vocab as Record<string, number>;
  const without = { ...json, added_tokens: [], model: { ...json.model, vocab } };
  expect(() => tokenizerFromJson("x", without)).toThrow(
    new CheckpointError('x: the unknown token "[UNK]" is not in the vocabulary; add it there'),
  );
  expect(() => tokenizerFromJson("x", { ...json, pre_tokenizer: { type: "Whitespace" } })).toThrow(UnsupportedError);
  expect(() => tokenizerFromJson("x", { ...json, normalizer: null })).toThrow(UnsupportedError);
  const suffix = { ...gpt1.toJson(), model: { ...gpt1.toJson().model, end_of_word_suffix: "@" } };
  expect(() => tokenizerFromJson("x", suffix)).toThrow('x: words end in "@"; "</w>" is expected');
  const strict = new Gpt1Bpe({ vocabulary: new Map([["a</w>", 0]]), merges: [], addedTokens: [] });
  expect(() => strict.encode("a b")).toThrow(DataError);
  expect(() => strict.encode("a b")).toThrow('encode: "b</w>" is not in the vocabulary of 1 tokens');
  const small = new WordPieceTrainer({ vocabularySize: 6 });
  small.add("abc");
  expect(() => small.train()).toThrow("must be an integer from 8 (special tokens and characters) to 1048576, got 6");
  expect(() => new Gpt1BpeTrainer({ vocabularySize: 9 }).train()).toThrow(DataError);
  expect(() => new WordPieceTrainer({ vocabularySize: 9, alphabetLimit: 0 })).toThrow(SettingsError);
  expect(() => new WordPieceTrainer({ vocabularySize: 9, specialTokens: ["[CLS]"] })).toThrow("given twice");
});
