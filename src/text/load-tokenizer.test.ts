import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Tokenizer as PeerTokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { anyText } from "../../test/any-text.ts";
import { CheckpointError, UnsupportedError } from "../core/errors.ts";
import { trainByteLevelBpe } from "./bpe-trainer.ts";
import { loadTokenizer } from "./load-tokenizer.ts";
import { tokenizerFromJson } from "./read-tokenizer.ts";
import { tokenizerFiles } from "./tokenizer-files.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "stemma-tokenizer-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const trained = trainByteLevelBpe(
  ["we've seen 12345 naïve 🙂 THE the quick brown fox's 日本語 \n\n the quick's THE 1234".repeat(3)],
  { vocabularySize: 305 },
);
const json = JSON.parse(tokenizerFiles(trained)["tokenizer.json"]!);

let folders = 0;
/** A new folder with these files in it. */
function folderWith(files: Readonly<Record<string, unknown>>): string {
  const path = mkdtempSync(join(folder, `${folders++}-`));
  for (const [name, contents] of Object.entries(files)) {
    writeFileSync(join(path, name), typeof contents === "string" ? contents : JSON.stringify(contents));
  }
  return path;
}

test("a folder that was written is read back, its file as well", async () => {
  const written = trained.withSpecialTokens(["<|user|>", "<pad>"], { pad: "<pad>" });
  const path = folderWith(tokenizerFiles(written));
  for (const place of [path, join(path, "tokenizer.json")]) {
    const read = await loadTokenizer(place);
    expect(tokenizerFiles(read)).toEqual(tokenizerFiles(written));
    expect(read.roles).toEqual({ bos: "<|endoftext|>", eos: "<|endoftext|>", unk: "<|endoftext|>", pad: "<pad>" });
    expect(read.endOfText).toBe(written.endOfText);
  }
});

test("GPT-2's own two files are read", async () => {
  const merges = trained.merges.map((pair) => pair.join(" "));
  const vocab = Object.fromEntries([...Object.entries(json.model.vocab)]);
  const path = folderWith({ "vocab.json": vocab, "merges.txt": ["#version: 0.2", ...merges, ""].join("\n") });
  const read = await loadTokenizer(path);
  expect(tokenizerFiles(read)).toEqual(tokenizerFiles(trained));
  const more = folderWith({
    "vocab.json": vocab,
    "merges.txt": merges.join("\r\n"),
    "added_tokens.json": { "<|user|>": 310 },
    "special_tokens_map.json": { pad_token: { content: "<|user|>" } },
    "tokenizer_config.json": {
      added_tokens_decoder: { 311: { content: "<|end|>", special: true } },
      eos_token: "<|end|>",
    },
  });
  const chat = await loadTokenizer(more);
  expect([...chat.specialTokens]).toEqual([
    ["<|user|>", 310],
    ["<|end|>", 311],
    ["<|endoftext|>", 304],
  ]);
  expect(chat.roles).toEqual({ bos: "<|endoftext|>", eos: "<|end|>", unk: "<|endoftext|>", pad: "<|user|>" });
});

test("tokens that only the files beside tokenizer.json name are matched as a whole, with the ids transformers gives", async () => {
  const path = folderWith({
    "tokenizer.json": { ...json, added_tokens: [] },
    "tokenizer_config.json": {
      added_tokens_decoder: {
        306: { content: "<|call|>", special: true },
        0: { content: "<|taken|>", special: false },
      },
      eos_token: "<|endoftext|>",
      pad_token: "[PAD]",
    },
    "added_tokens.json": { "<|old|>": 305 },
    "special_tokens_map.json": { additional_special_tokens: ["<|more|>", { content: "<|call|>" }] },
  });
  const read = await loadTokenizer(path);
  const ids = ["<|endoftext|>", "<|old|>", "<|call|>", "<|taken|>", "<|more|>", "[PAD]"].map((token) =>
    read.idOf(token),
  );
  expect(ids).toEqual([304, 305, 306, 307, 308, null]);
  expect([...read.encode("<|call|><|endoftext|><|more|>")]).toEqual([306, 304, 308]);
  expect([...read.specialTokens.keys()]).not.toContain("<|taken|>");
  expect(read.roles.pad).toBeUndefined();
});

test.each([
  [{ add_bos_token: true }, [305, 7]],
  [{ add_bos_token: false, add_eos_token: true }, [7, 306]],
  [{ add_bos_token: true, add_eos_token: true }, [305, 7, 306]],
  [{ add_bos_token: false }, [7]],
  [{}, [306, 7]],
])("%j in tokenizer_config.json replaces what tokenizer.json puts around a text", async (flags, framed) => {
  const written = trained.withSpecialTokens(["<s>", "</s>"]);
  const template = {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "</s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [],
    special_tokens: { "</s>": { id: "</s>", ids: [306], tokens: ["</s>"] } },
  };
  const path = folderWith({
    "tokenizer.json": { ...written.toJson(), post_processor: template },
    "tokenizer_config.json": { bos_token: "<s>", eos_token: "</s>", ...flags },
  });
  expect([...(await loadTokenizer(path)).frame(Int32Array.of(7)).ids]).toEqual(framed);
});

test("a token of whole words is not found inside a word, whatever its letters (as tokenizers has it)", () => {
  const cat = { id: 310, content: "cat", single_word: true };
  const tokenizer = tokenizerFromJson("x", { ...json, added_tokens: [cat] });
  const found = ["cat", "𝐀cat", "cat𝐀", "😀cat😀", "\u200dcat", "cat\u200c", "é\u0301cat", "a‿cat"].map((text) =>
    tokenizer.encode(text).includes(310),
  );
  expect(found).toEqual([true, false, false, true, false, false, false, false]);
});

const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
const split = (Regex: string, behavior = "Isolated", invert = false): object => ({
  type: "Split",
  pattern: { Regex },
  behavior,
  invert,
});
const gpt4 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const gpt4o =
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

test.each([
  ["Llama 3", { pre_tokenizer: { type: "Sequence", pretokenizers: [split(gpt4), byteLevel] } }],
  ["GPT-4", { pre_tokenizer: { type: "Sequence", pretokenizers: [split(gpt4, "Removed", true), byteLevel] } }],
  ["GPT-4o", { pre_tokenizer: { type: "Sequence", pretokenizers: [split(gpt4o, "Removed", true), byteLevel] } }],
  [
    "Qwen 2",
    {
      normalizer: { type: "NFC" },
      pre_tokenizer: { type: "Sequence", pretokenizers: [split(gpt4.replace("{1,3}", "")), byteLevel] },
    },
  ],
  [
    "SmolLM",
    {
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [
          { type: "Digits", individual_digits: true },
          { ...byteLevel, use_regex: true },
        ],
      },
    },
  ],
  ["RoBERTa", { pre_tokenizer: { ...byteLevel, add_prefix_space: true, use_regex: true } }],
  ["no words", { pre_tokenizer: byteLevel }],
])("%s's way to cut text, as @huggingface/tokenizers has it", (_, parts) => {
  const changed = { ...json, ...parts };
  const tokenizer = tokenizerFromJson("tokenizer.json", changed);
  const peer = new PeerTokenizer(changed, { clean_up_tokenization_spaces: false });
  fc.assert(
    fc.property(anyText, anyText, (text, more) => {
      // The peer knows neither numbers but ASCII's in `Digits`, nor what folds to "s" in `(?i:…)`.
      const plain = text.replaceAll(/(?![0-9])\p{N}|ſ/gu, "");
      expect([...tokenizer.encode(plain)]).toEqual(peer.encode(plain, { add_special_tokens: false }).ids);
      const cut = tokenizer.cutPoint(text);
      const parts = [text.slice(0, cut), text.slice(cut) + more].flatMap((part) => [...tokenizer.encode(part)]);
      expect(parts).toEqual([...tokenizer.encode(text + more)]);
    }),
  );
  expect(tokenizer.toJson().pre_tokenizer).toEqual(changed.pre_tokenizer);
});

test("contractions of both cases, and what folds to them", () => {
  const parts = { pre_tokenizer: { type: "Sequence", pretokenizers: [split(gpt4), byteLevel] } };
  const tokenizer = tokenizerFromJson("x", { ...json, ...parts, model: { ...json.model, merges: [] } });
  expect(tokenizer.cutPoint("one two three")).toBe(7);
  const words = tokenizerFromJson("x", { ...json, ...parts, model: { ...json.model, ignore_merges: true } });
  expect(words.encode("'S").length).toBe(2);
  expect(words.encode("'s").length).toBe(1);
});

test("templates frame one text and a pair", () => {
  const special = trained.idOf("<|endoftext|>")!;
  const template = {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "<|endoftext|>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [
      { Sequence: { id: "A", type_id: 0 } },
      { SpecialToken: { id: "<|endoftext|>", type_id: 0 } },
      { Sequence: { id: "B", type_id: 1 } },
    ],
    special_tokens: { "<|endoftext|>": { id: "<|endoftext|>", ids: [special], tokens: ["<|endoftext|>"] } },
  };
  const tokenizer = tokenizerFromJson("x", {
    ...json,
    post_processor: { type: "Sequence", processors: [byteLevel, template] },
  });
  const [first, second] = [Int32Array.of(5, 6), Int32Array.of(7)];
  expect(tokenizer.frame(first)).toEqual({ ids: Int32Array.of(special, 5, 6), typeIds: Int32Array.of(0, 0, 0) });
  expect(tokenizer.frame(first, second)).toEqual({
    ids: Int32Array.of(5, 6, special, 7),
    typeIds: Int32Array.of(0, 0, 0, 1),
  });
  expect(tokenizer.toJson().post_processor).toEqual(template);
  expect(trained.frame(first, second)).toEqual({ ids: Int32Array.of(5, 6, 7), typeIds: Int32Array.of(0, 0, 1) });
  const roberta = { type: "RobertaProcessing", cls: ["<s>", 1], sep: ["</s>", 2] };
  const framed = tokenizerFromJson("x", { ...json, post_processor: roberta }).frame(first, second);
  expect([...framed.ids]).toEqual([1, 5, 6, 2, 2, 7, 2]);
  const bert = { type: "BertProcessing", cls: ["[CLS]", 1], sep: ["[SEP]", 2] };
  expect(tokenizerFromJson("x", { ...json, post_processor: bert }).frame(first, second)).toEqual({
    ids: Int32Array.of(1, 5, 6, 2, 7, 2),
    typeIds: Int32Array.of(0, 0, 0, 0, 1, 1),
  });
});

test("ordinary added tokens keep their white space rules", () => {
  const mask = {
    id: 310,
    content: "<mask>",
    single_word: false,
    lstrip: true,
    rstrip: false,
    normalized: false,
    special: true,
  };
  const word = {
    id: 311,
    content: "fox",
    single_word: true,
    lstrip: false,
    rstrip: true,
    normalized: false,
    special: false,
  };
  const tokenizer = tokenizerFromJson("x", { ...json, added_tokens: [...json.added_tokens, mask, word] });
  const the = tokenizer.idOf("the")!;
  expect([...tokenizer.encode("the  <mask>the")]).toEqual([the, 310, the]);
  expect([...tokenizer.encode("the fox \nthe")].slice(-2)).toEqual([311, the]);
  expect([...tokenizer.encode("foxes")]).not.toContain(311);
  expect([...tokenizer.encode("<mask>fox", { recognizeSpecialTokens: false })]).toContain(311);
  expect([...tokenizer.encode("<mask>", { recognizeSpecialTokens: false })]).not.toContain(310);
  expect(tokenizer.cutPoint("one two")).toBe(0);
});

const model = json.model;
test.each([
  ["not JSON", '{"model": ', CheckpointError, /is not valid JSON \(.*\); it is damaged/],
  ["no object", "[]", CheckpointError, /holds an array, a JSON object is expected/],
  ["no model", {}, CheckpointError, /has no model, so it is no tokenizer.json; fetch or write it again/],
  [
    "no vocabulary",
    { model: { type: "BPE", merges: [] } },
    CheckpointError,
    /model.vocab is missing, an object of tokens and ids is expected/,
  ],
  [
    "a merge of one",
    { ...json, model: { ...model, merges: ["a"] } },
    CheckpointError,
    /model.merges\[0\] is "a", a pair/,
  ],
  [
    "merges no list",
    { ...json, model: { ...model, merges: 3 } },
    CheckpointError,
    /model.merges is a number, a list of pairs is expected/,
  ],
  [
    "no merges",
    { ...json, model: { ...model, merges: undefined } },
    CheckpointError,
    /model.merges is missing, a list of pairs is expected/,
  ],
  [
    "a vocabulary that is a list",
    { ...json, model: { ...model, vocab: ["a"] } },
    CheckpointError,
    /model.vocab is an array, an object of tokens and ids is expected; the file is damaged/,
  ],
  [
    "an added token with an id that is none",
    { ...json, added_tokens: [{ id: -1, content: "x" }] },
    CheckpointError,
    /added_tokens\[0\].id must be at least 0, got -1; the file is damaged/,
  ],
  [
    "an id no number",
    { ...json, model: { ...model, vocab: { a: "x" } } },
    CheckpointError,
    /token "a" has the id "x"; ids are/,
  ],
  [
    "an id twice",
    { ...json, model: { ...model, vocab: { a: 0, b: 0 } } },
    CheckpointError,
    /"a" and "b" have the same id 0/,
  ],
  [
    "an id too high",
    { ...json, model: { ...model, vocab: { a: 2 ** 30 } } },
    CheckpointError,
    /ids are integers from 0/,
  ],
  ["a merge too many", { ...json, model: { ...model, merges: [["x", "q"]] } }, CheckpointError, /needs the token "xq"/],
  [
    "an added token",
    { ...json, added_tokens: [{ id: "1" }] },
    CheckpointError,
    /added_tokens\[0\]\.id .*must be a number.*damaged/,
  ],
  ["an empty token", { ...json, added_tokens: [{ id: 400, content: "" }] }, CheckpointError, /id 400\) is empty/],
  ["Unigram", { model: { type: "Unigram", vocab: [["a", "b"]] } }, CheckpointError, /model\.vocab: \[0\]\[1\]/],
  ["another model", { model: { type: "Odd", vocab: {} } }, UnsupportedError, /model of type "Odd" is not supported/],
  ["a normalizer", { ...json, normalizer: { type: "Nmt" } }, UnsupportedError, /normalizer \{"type":"Nmt"\}/],
  ["no words", { ...json, pre_tokenizer: null }, UnsupportedError, /the pre-tokenizer null is not supported/],
  [
    "a way to cut",
    { ...json, pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "X" }, byteLevel] } },
    UnsupportedError,
    /"X"/,
  ],
  [
    "a pattern",
    { ...json, pre_tokenizer: { type: "Sequence", pretokenizers: [split("\\w+"), byteLevel] } },
    UnsupportedError,
    /w\+/,
  ],
  ["a post-processor", { ...json, post_processor: { type: "X" } }, UnsupportedError, /post-processor \{"type":"X"\}/],
  [
    "a template",
    { ...json, post_processor: { type: "TemplateProcessing", single: 3 } },
    CheckpointError,
    /post_processor: single/,
  ],
  ["dropout", { ...json, model: { ...model, dropout: 0.1 } }, UnsupportedError, /setting dropout = 0.1/],
])("a file with %s is refused in a line", async (_, contents, kind, message) => {
  const path = folderWith({ "tokenizer.json": contents });
  const error = await loadTokenizer(path).catch((thrown: Error) => thrown);
  expect(error).toBeInstanceOf(kind);
  expect((error as Error).message).toMatch(message);
  expect((error as Error).message).toMatch(/^[^\n]*tokenizer\.json: [^\n]*$/);
});

test.each([
  [
    {},
    /: has no tokenizer.json, nor a SentencePiece model, nor vocab.json with merges.txt, nor vocab.txt; check the path of the tokenizer$/,
  ],
  [{ "vocab.json": { a: 0 } }, /merges.txt: is missing; vocab.json needs it, fetch it as well$/],
  [{ "vocab.json": { a: 0 }, "merges.txt": "a\n" }, /merges.txt: line 1 is "a", two tokens are expected/],
  [{ "vocab.txt": "a\nb\na\n" }, /vocab.txt: has the token "a" twice/],
  [{ "tokenizer.json": json, "tokenizer_config.json": "{" }, /tokenizer_config.json: is not valid JSON/],
])("a folder with %j is refused", async (files, message) => {
  await expect(loadTokenizer(folderWith(files))).rejects.toThrow(message);
});

test("what is not there, or no text, is refused", async () => {
  await expect(loadTokenizer(join(folder, "none"))).rejects.toThrow("none: has no tokenizer.json");
  await expect(loadTokenizer(join(folder, "none.json"))).rejects.toThrow("none.json: there is no such file");
  const path = folderWith({});
  writeFileSync(join(path, "tokenizer.json"), Buffer.of(0x7b, 0xff, 0x7d));
  await expect(loadTokenizer(path)).rejects.toThrow("is not UTF-8 text; it is damaged, write or fetch it again");
});
