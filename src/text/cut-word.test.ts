import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../../test/any-text.ts";
import { trainByteLevelBpe } from "./bpe-trainer.ts";
import { CharacterTrainer } from "./characters.ts";
import type { CutWord } from "./cut-word.ts";
import { Gpt1BpeTrainer } from "./gpt1-trainer.ts";
import { tokenizerFromJson } from "./read-tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";
import type { TokenizerTrainer } from "./tokenizer-trainer.ts";
import { UnigramTrainer } from "./unigram-trainer.ts";
import { WordPieceTrainer } from "./word-piece-trainer.ts";

const text = "the quick brown fox, the quickest foxes\nthe end 日本 naïve 🙂 <|user|> unaffable ";
const special = { specialTokens: ["<|user|>"] };

function train(trainer: TokenizerTrainer): Tokenizer {
  trainer.add(text.repeat(3));
  return trainer.train();
}

const sentencePiece = tokenizerFromJson("tokenizer.json", {
  ...{ version: "1.0", truncation: null, padding: null, post_processor: null, decoder: null },
  added_tokens: [{ id: 0, content: "<unk>", normalized: false, special: true }],
  normalizer: { type: "Sequence", normalizers: [prepend(), replace()] },
  pre_tokenizer: null,
  decoder: { type: "Sequence", decoders: [unmark(), { type: "ByteFallback" }, { type: "Fuse" }, strip()] },
  model: {
    ...{ type: "BPE", dropout: null, unk_token: "<unk>", continuing_subword_prefix: null, end_of_word_suffix: null },
    ...{ fuse_unk: true, byte_fallback: true, ignore_merges: false },
    vocab: Object.fromEntries(["<unk>", ..."▁theqikc", "▁t", "he", "▁the"].map((token, id) => [token, id])),
    merges: ["▁ t", "h e", "▁t he"],
  },
});

function prepend(): object {
  return { type: "Prepend", prepend: "▁" };
}
function replace(): object {
  return { type: "Replace", pattern: { String: " " }, content: "▁" };
}
function unmark(): object {
  return { type: "Replace", pattern: { String: "▁" }, content: " " };
}
function strip(): object {
  return { type: "Strip", content: " ", start: 1, stop: 0 };
}

const byteLevel = trainByteLevelBpe([text.repeat(3)], { vocabularySize: 290 }).withSpecialTokens(["<|user|>"]);
const tokenizers: [string, Tokenizer][] = [
  ["byte-level BPE", byteLevel],
  ["GPT-1's BPE", train(new Gpt1BpeTrainer({ vocabularySize: 90, ...special }))],
  ["SentencePiece's BPE", sentencePiece],
  ["WordPiece", train(new WordPieceTrainer({ vocabularySize: 120, ...special }))],
  ["unigram", train(new UnigramTrainer({ vocabularySize: 48, ...special }))],
  ["characters", train(new CharacterTrainer(special))],
];

/** The pieces after all merges, made one by one from the first. */
function replayed({ merging, ids }: CutWord): readonly number[] {
  if (!merging) return ids;
  return merging.steps.reduce<number[]>((pieces, { at, id }) => pieces.toSpliced(at, 2, id), [...merging.first]);
}

test.each(tokenizers)(
  "%s: words have the ids of the text, and merging them step by step gives these",
  (_, tokenizer) => {
    const known = fc.array(fc.constantFrom(...text.split(/(?= )/)), { maxLength: 12 }).map((words) => words.join(""));
    fc.assert(
      fc.property(tokenizer.kind === "characters" ? known : fc.oneof(anyText, known), (sample) => {
        const words = tokenizer.cutWords(sample);
        expect(words.flatMap(({ ids }) => ids)).toEqual([...tokenizer.encode(sample)]);
        for (const word of words) expect(replayed(word)).toEqual(word.ids);
      }),
      { numRuns: 60 },
    );
  },
);

test("merges are told in their order, the leftmost of equal ones first", () => {
  const [word, ...others] = sentencePiece.cutWords("thethe");
  const id = (token: string) => sentencePiece.idOf(token) ?? -1;
  expect(others).toEqual([]);
  expect(word).toEqual({
    text: "▁thethe",
    ids: ["▁the", "t", "he"].map(id),
    merging: {
      first: [..."▁thethe"].map(id),
      steps: [
        { at: 0, rank: 0, id: id("▁t") },
        { at: 1, rank: 1, id: id("he") },
        { at: 3, rank: 1, id: id("he") },
        { at: 0, rank: 2, id: id("▁the") },
      ],
    },
    scores: null,
  });
});

test("a unigram model's tokens come with their log-probabilities", () => {
  const unigram = tokenizers[4]?.[1];
  const pieces = unigram?.toJson().model.vocab as readonly (readonly [string, number])[];
  const [word] = unigram?.cutWords("quickest") ?? [];
  expect(word?.scores).toEqual(word?.ids.map((id) => pieces[id]?.[1]));
  expect(word?.merging).toBeNull();
});
