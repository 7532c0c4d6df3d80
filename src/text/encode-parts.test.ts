import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../../test/any-text.ts";
import { memoryTexts } from "../files/text-files.ts";
import { trainByteLevelBpe } from "./bpe-trainer.ts";
import { continuationDecoder, decodeContinuation } from "./continuation-decoder.ts";
import { encodeParts } from "./encode-parts.ts";
import { readFolderIds, withFolderEnd } from "./folder-ids.ts";
import { paddingOf, withMaskedPadding, withPadding } from "./padding.ts";
import { tokenizerFromJson } from "./read-tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";

const bytes = trainByteLevelBpe(["user: the cat. assistant: the cat sat on the mat. ".repeat(9)], {
  vocabularySize: 300,
}).withSpecialTokens(["<|endoftext|>"], { eos: "<|endoftext|>" });

const merges = ["▁ t", "h e", "▁t he", "▁ Y", "▁Y o"].map((pair) => pair.split(" "));
const pieces = [...new Set([..."▁abcdehlnorstuwY:", ...merges.map((pair) => pair.join(""))])];
/** Llama 2's kind, or its newer one, where a space is put before the first text only. */
function sentencePiece(isNewer: boolean): Tokenizer {
  const byteTokens = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
  );
  const mark = { type: "Replace", pattern: { String: " " }, content: "▁" };
  const spaces = isNewer
    ? { pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false } }
    : { normalizer: { type: "Sequence", normalizers: [{ type: "Prepend", prepend: "▁" }, mark] } };
  const unmark = { type: "Replace", pattern: { String: "▁" }, content: " " };
  const strip = { type: "Strip", content: " ", start: 1, stop: 0 };
  return tokenizerFromJson("x", {
    ...spaces,
    added_tokens: ["<unk>", "<s>", "</s>"].map((content, id) => ({ id, content, special: true })),
    decoder: { type: "Sequence", decoders: [unmark, { type: "ByteFallback" }, { type: "Fuse" }, strip] },
    model: {
      ...{ type: "BPE", byte_fallback: true, unk_token: "<unk>", merges },
      vocab: Object.fromEntries(["<unk>", "<s>", "</s>", ...byteTokens, ...pieces].map((token, id) => [token, id])),
    },
  });
}

const spelled = (tokenizer: Tokenizer, parts: readonly Int32Array[]): string[] =>
  parts.map((ids) => Array.from(ids, (id) => tokenizer.tokenOf(id)).join(" "));

test.each([false, true])("what follows a cut has the ids that it has in the whole text (newer: %s)", (isNewer) => {
  const tokenizer = sentencePiece(isNewer);
  expect(spelled(tokenizer, encodeParts(tokenizer, "the: Yo</s>", [4]))).toEqual(["▁the :", "▁Yo </s>"]);
  // No token begins with the answer, which is therefore encoded as what it is: the rest of a text.
  expect(spelled(tokenizer, encodeParts(tokenizer, "the: Yo</s>", [5]))).toEqual(["▁the : ▁", "Y o </s>"]);
});

test("a prompt keeps its own ids where a token would reach into the answer", () => {
  const [prompt, answer] = encodeParts(bytes, "assistant: the cat", ["assistant: ".length]);
  expect(prompt).toEqual(bytes.encode("assistant: "));
  expect(answer).toEqual(bytes.encode("the cat"));
});

test.each([
  ["bytes", bytes],
  ["pieces", sentencePiece(false)],
  ["pieces, newer", sentencePiece(true)],
])("parts begin with what comes before the first cut, and are the text (%s)", (_, tokenizer) => {
  const property = fc.property(anyText, fc.array(fc.nat(), { maxLength: 4 }), (text, places) => {
    const cuts = places.map((place) => (text === "" ? 0 : place % (text.length + 1))).sort((a, b) => a - b);
    const parts = encodeParts(tokenizer, text, cuts);
    expect(parts).toHaveLength(cuts.length + 1);
    expect(parts[0]).toEqual(tokenizer.encode(text.slice(0, cuts[0] ?? text.length)));
    const isWhole = cuts.every((cut) => !/[\ud800-\udbff]$/.test(text.slice(0, cut)));
    if (isWhole)
      expect(tokenizer.decode(parts.flatMap((ids) => [...ids]))).toBe(tokenizer.decode(tokenizer.encode(text)));
  });
  fc.assert(property, { numRuns: 200 });
});

test("a continuation keeps its space behind a text, and drops it where a text begins", () => {
  const tokenizer = sentencePiece(false);
  const answer = tokenizer.encode("Yo");
  expect(decodeContinuation(tokenizer, tokenizer.encode("the"), answer)).toBe(" Yo");
  expect(decodeContinuation(tokenizer, [1], answer)).toBe("Yo");
  expect(tokenizer.decode(answer)).toBe("Yo");
  const [first, ...rest] = bytes.encode("☃");
  const decoder = continuationDecoder(bytes, [first ?? 0]);
  expect(rest.map((id) => decoder.push(id)).join("")).toBe("☃");
});

test.each([
  [{ eos_token_id: [] }, {}, [], null],
  [{ eos_token_id: [270, 5, 100_000] }, { eos_token_id: 7, bos_token_id: 9 }, [270, 5, 7], 9],
  [{ eos_token_id: null, bos_token_id: 4 }, { eos_token_id: 7, bos_token_id: 9 }, [7], 4],
])("ends in generation_config.json %j and config.json %j", async (generation, config, ends, beginOfText) => {
  const texts = new Map([
    ["generation_config.json", generation],
    ["config.json", config],
  ] as const);
  const files = {
    where: (name: string) => name,
    read: async (name: string) => JSON.stringify(texts.get(name as "config.json")) ?? null,
  };
  expect(await readFolderIds(files, bytes)).toEqual({ beginOfText, ends });
  const { model, ...others } = bytes.toJson();
  const { "<|endoftext|>": _, ...vocab } = model.vocab as Record<string, number>;
  const nameless = tokenizerFromJson("x", { ...others, added_tokens: [], model: { ...model, vocab } });
  expect(withFolderEnd(nameless, { beginOfText, ends }).endOfText).toBe(ends[0] ?? null);
  expect(withFolderEnd(bytes, { beginOfText, ends })).toBe(bytes);
});

test.each([
  ["generation_config.json", { eos_token_id: "</s>" }, 'eos_token_id must be an id or a list of ids, got "</s>"'],
  ["config.json", { eos_token_id: [2, null] }, "eos_token_id must be an id or a list of ids, got [2,null]"],
  ["config.json", { bos_token_id: 1.5 }, "bos_token_id must be an id or a list of ids, got 1.5"],
])("%s with %j is refused", async (name, contents, message) => {
  const ids = readFolderIds(memoryTexts({ [name]: JSON.stringify(contents) }), bytes);
  await expect(ids).rejects.toThrow(`${name}: ${message}; correct the file, or remove the key`);
});

test("padding is never what ends a text", () => {
  const end = bytes.endOfText ?? 0;
  const padded = withPadding(bytes, new Set([end]));
  expect([padded.roles.pad, paddingOf(padded)]).toEqual(["<|pad|>", bytes.vocabularySize]);
  expect(withPadding(padded, new Set([end]))).toBe(padded);
  const wrong = bytes.withSpecialTokens(["[PAD]"], { pad: "<|endoftext|>" });
  expect(withPadding(wrong, new Set([end])).roles.pad).toBe("[PAD]");
  expect(withPadding(sentencePiece(false).withSpecialTokens([], { pad: "</s>" }), new Set([2])).roles.pad).toBe(
    "<unk>",
  );
});

test("padding that a mask tells is a token that the model has", () => {
  const padded = withMaskedPadding(bytes);
  expect(paddingOf(padded)).toBe(bytes.endOfText);
  expect(padded.vocabularySize).toBe(bytes.vocabularySize);
  expect(padded.endOfText).toBe(bytes.endOfText);
  expect(withMaskedPadding(padded)).toBe(padded);
  expect(withMaskedPadding(bytes.withSpecialTokens(["[PAD]"])).roles.pad).toBe("[PAD]");
});
