import { Tokenizer as PeerTokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { expect, test } from "vitest";
import { anyString, anyText } from "../../test/any-text.ts";
import { DataError, UnsupportedError } from "../core/errors.ts";
import { tokenizerFromJson } from "./read-tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { tokenizerFiles } from "./tokenizer-files.ts";

const pieces = ["<unk>", "<s>", "</s>"];
const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
const characters = [..."▁abcdehlnorstuw,.!日"];
const merges = ["▁ t", "h e", "▁t he", "▁ ▁", "▁▁ ▁▁", "l l", "▁ w", "o r", "▁w or", "▁the ▁", "! !"].map((pair) =>
  pair.split(" "),
);
/** The same without the merge that puts a space behind a word. */
const wordMerges = merges.filter(([left]) => left !== "▁the");

const legacy = {
  normalizer: {
    type: "Sequence",
    normalizers: [
      { type: "Prepend", prepend: "▁" },
      { type: "Replace", pattern: { String: " " }, content: "▁" },
    ],
  },
  pre_tokenizer: null,
};
const metaspace = (prepend_scheme: string, split = false): object => ({
  normalizer: null,
  pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme, split },
});
const gemma = {
  normalizer: { type: "Replace", pattern: { String: " " }, content: "▁" },
  pre_tokenizer: { type: "Split", pattern: { String: " " }, behavior: "MergedWithPrevious", invert: false },
};
const strip = { type: "Strip", content: " ", start: 1, stop: 0 };

function describe(
  spaces: object,
  decoderEnd: readonly object[] = [strip],
  chosen = wordMerges,
): Record<string, unknown> {
  const vocabulary = [...new Set([...pieces, ...bytes, ...characters, ...chosen.map((pair) => pair.join(""))])];
  const added = pieces.map((content, id) => ({ id, content, normalized: false, special: true }));
  return {
    ...{ version: "1.0", truncation: null, padding: null, post_processor: null, added_tokens: added, ...spaces },
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...decoderEnd,
      ],
    },
    model: {
      ...{ type: "BPE", unk_token: "<unk>", fuse_unk: true, byte_fallback: true, ignore_merges: false },
      vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
      merges: chosen,
    },
  };
}

function spelled(tokenizer: Tokenizer, text: string): (string | null)[] {
  return Array.from(tokenizer.encode(text), (id) => tokenizer.tokenOf(id));
}

test.each([
  ["Llama 2", describe(legacy)],
  ["Llama 2, newer", describe(metaspace("first"))],
  ["always a space", describe(metaspace("always"))],
  ["never a space", describe(metaspace("never"), [])],
  ["Gemma", describe(gemma, [])],
  ["spaces within tokens", describe(gemma, [], merges)],
])("%s: ids and text are those of @huggingface/tokenizers", (_, json) => {
  const tokenizer = tokenizerFromJson("x", json);
  const peer = new PeerTokenizer(json, { clean_up_tokenization_spaces: false });
  const known = fc.string({ unit: fc.constantFrom(..."  theworld,!日☃", "<s>"), maxLength: 30 });
  fc.assert(
    fc.property(fc.oneof(known, anyText), anyString, (text, more) => {
      const ids = [...tokenizer.encode(text)];
      expect(ids).toEqual(peer.encode(text, { add_special_tokens: false }).ids);
      if (ids.length > 0) expect(tokenizer.decode(ids)).toBe(peer.decode(ids));
      const cut = tokenizer.cutPoint(text);
      const parts = [text.slice(0, cut), text.slice(cut) + more].flatMap((part) => [...tokenizer.encode(part)]);
      expect(parts).toEqual([...tokenizer.encode(text + more)]);
    }),
  );
  const read = tokenizerFromJson("x", JSON.parse(tokenizerFiles(tokenizer)["tokenizer.json"]!), tokenizer.roles);
  expect(tokenizerFiles(read)).toEqual(tokenizerFiles(tokenizer));
});

test("characters that the vocabulary lacks become bytes", () => {
  const tokenizer = tokenizerFromJson("x", describe(legacy));
  expect(spelled(tokenizer, "the ☃")).toEqual(["▁the", "▁", "<0xE2>", "<0x98>", "<0x83>"]);
  expect(tokenizer.decode(tokenizer.encode("the ☃"))).toBe("the ☃");
  expect(spelled(tokenizer, "<s>the")).toEqual(["<s>", "▁the"]);
});

test("streamed text is the decoded text, and never a part of a character", () => {
  const tokenizer = tokenizerFromJson("x", describe(legacy)).withSpecialTokens(["<|user|>"]);
  const ids = fc.array(fc.integer({ min: 0, max: tokenizer.vocabularySize - 1 }), { maxLength: 20 });
  fc.assert(
    fc.property(ids, fc.boolean(), (tokens, skipSpecialTokens) => {
      const stream = tokenizer.streamDecoder({ skipSpecialTokens });
      const texts = tokens.map((id) => stream.push(id));
      expect(texts.join("") + stream.flush()).toBe(tokenizer.decode(tokens, { skipSpecialTokens }));
      expect(tokens.map((id) => stream.push(id))).toEqual(texts);
    }),
  );
  const stream = tokenizer.streamDecoder();
  expect(Array.from(tokenizer.encode("☃"), (id) => stream.push(id))).toEqual(["", "", "", "☃"]);
});

test("without bytes, characters become the unknown token, or are refused", () => {
  const json = describe(legacy);
  const model = json.model as { vocab: Record<string, number> };
  const vocab = Object.fromEntries(Object.entries(model.vocab).filter(([token]) => !bytes.includes(token)));
  const tokenizer = tokenizerFromJson("x", { ...json, model: { ...model, vocab } });
  expect(spelled(tokenizer, "☃☃ ☃the")).toEqual(["▁", "<unk>", "▁", "<unk>", "t", "he"]);
  const strict = tokenizerFromJson("x", { ...json, model: { ...model, vocab, unk_token: null } });
  expect(() => strict.encode("☃")).toThrow(DataError);
});

test.each([
  ["a pre-tokenizer", { ...describe(metaspace("first", true)) }],
  ["a normalizer", { ...describe({ normalizer: { type: "NFKC" }, pre_tokenizer: null }) }],
  ["no marking of spaces", describe({ normalizer: null, pre_tokenizer: null })],
  ["a decoder", describe(legacy, [{ type: "Strip", content: " ", start: 0, stop: 1 }])],
])("%s that is not known is refused", (_, json) => {
  expect(() => tokenizerFromJson("x", json)).toThrow(UnsupportedError);
});
