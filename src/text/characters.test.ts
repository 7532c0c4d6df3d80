import { Tokenizer as PeerTokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../../test/any-text.ts";
import { DataError, UnsupportedError } from "../core/errors.ts";
import { CharacterTrainer } from "./characters.ts";
import { tokenizerFromJson } from "./read-tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { tokenizerFiles } from "./tokenizer-files.ts";

function train(texts: readonly string[], specialTokens: readonly string[] = []): Tokenizer {
  const trainer = new CharacterTrainer({ specialTokens });
  for (const text of texts) trainer.add(text);
  return trainer.train();
}

function reread(tokenizer: Tokenizer): Tokenizer {
  const files = tokenizerFiles(tokenizer);
  return tokenizerFromJson("tokenizer.json", JSON.parse(files["tokenizer.json"]!), tokenizer.roles);
}

test("characters have ids in the order of their code points, and no more tokens than that", () => {
  const tokenizer = train(["hello\n", "🙂 é!", "hello"]);
  expect(tokenizer.vocabularySize).toBe(9);
  expect([..."\n !ehloé🙂"].map((character) => tokenizer.idOf(character))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect([...tokenizer.encode("hello 🙂")]).toEqual([4, 3, 5, 5, 6, 1, 8]);
  expect(tokenizer.decode([4, 3, 5, 5, 6, 1, 8])).toBe("hello 🙂");
  expect([tokenizer.endOfText, tokenizer.specialTokens.size]).toEqual([null, 0]);
});

test("a character that is not in the vocabulary is named", () => {
  expect(() => train(["abc"]).encode("ab☃")).toThrow(
    new DataError(
      'encode: the character "☃" (U+2603) is not among the 3 of this tokenizer; train it on text that has the ' +
        "character, or give it an unk token",
    ),
  );
});

test("with an unk token unknown characters become it", () => {
  const tokenizer = train(["abc"]).withSpecialTokens(["<unk>"], { unk: "<unk>" });
  expect([...tokenizer.encode("a☃🙂b")]).toEqual([0, 3, 3, 1]);
  expect([...reread(tokenizer).encode("a☃🙂b")]).toEqual([0, 3, 3, 1]);
  expect(tokenizer.decode([0, 3, 1], { skipSpecialTokens: true })).toBe("ab");
});

test("special tokens come last and are not learnt", () => {
  const tokenizer = train(["ab<|endoftext|>"], ["<|endoftext|>"]);
  expect(tokenizer.vocabularySize).toBe(3);
  expect(tokenizer.endOfText).toBe(2);
  expect([...tokenizer.encode("a<|endoftext|>b")]).toEqual([0, 2, 1]);
  expect(() => tokenizer.encode("<|endoftext|>", { recognizeSpecialTokens: false })).toThrow('character "<" (U+003C)');
});

test("@huggingface/tokenizers opens what is written and agrees", () => {
  fc.assert(
    fc.property(fc.array(anyText, { minLength: 1, maxLength: 3 }), anyText, fc.boolean(), (texts, text, hasUnknown) => {
      fc.pre(texts.some((learnt) => learnt !== ""));
      const plain = train(texts, ["<|end|>"]);
      const tokenizer = hasUnknown ? plain.withSpecialTokens(["<unk>"], { unk: "<unk>" }) : plain;
      const files = tokenizerFiles(tokenizer);
      const peer = new PeerTokenizer(JSON.parse(files["tokenizer.json"]!), JSON.parse(files["tokenizer_config.json"]!));
      const read = reread(tokenizer);
      for (const sample of [...texts, `${texts[0]}<|end|>${texts[0]}`, ...(hasUnknown ? [text] : [])]) {
        const ids = [...tokenizer.encode(sample)];
        expect(ids).toEqual(peer.encode(sample, { add_special_tokens: false }).ids);
        expect([...read.encode(sample)]).toEqual(ids);
        if (ids.length > 0) expect(peer.decode(ids)).toBe(tokenizer.decode(ids));
        const stream = tokenizer.streamDecoder();
        expect(ids.map((id) => stream.push(id)).join("") + stream.flush()).toBe(tokenizer.decode(ids));
      }
      expect(tokenizerFiles(read)).toEqual(files);
      expect(read.kind).toBe("characters");
    }),
  );
});

test("text can be cut between any characters, but not within a special token", () => {
  const tokenizer = train(["ab 🙂"]);
  expect(tokenizer.cutPoint("ab")).toBe(2);
  expect(tokenizer.cutPoint("ab\ud83d")).toBe(2);
  expect(tokenizer.withSpecialTokens(["<a>"]).cutPoint("ab <")).toBe(2);
  expect([...train(["\ud83d"]).encode("\ude42\ufffd")]).toEqual([0, 0]);
});

test("a file with longer tokens and no merges is refused", () => {
  const json = train(["ab"]).toJson();
  const model = { ...json.model, vocab: { a: 0, bc: 1 } };
  expect(() => tokenizerFromJson("x.json", { ...json, model })).toThrow(
    new UnsupportedError('x.json: the token "bc" is not one character, and there are no merges that make it'),
  );
  expect(() => tokenizerFromJson("x.json", { ...json, normalizer: { type: "NFC" } })).toThrow("normalizer");
  expect(() => tokenizerFromJson("x.json", { ...json, pre_tokenizer: { type: "Whitespace" } })).toThrow(
    "pre-tokenizer",
  );
});

test("nothing cannot be learnt from", () => {
  expect(() => train([""])).toThrow(DataError);
});
