import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../../test/any-text.ts";
import { UnsupportedError } from "../core/errors.ts";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import { ChatTemplate, chatMl, chatMlTokens } from "../text/chat-template.ts";
import { ChatEncoder } from "../text/encode-chat.ts";
import { tokenizerFromJson } from "../text/read-tokenizer.ts";
import { boundsOf } from "../text/text-bounds.ts";
import type { Tokenizer, TokenRoles } from "../text/tokenizer.ts";
import { endsFromMetadata, tokenizerFromMetadata, tokenizerMetadata } from "./gguf-tokenizer.ts";
import type { GgufValue } from "./gguf-values.ts";

const end = "<|endoftext|>";
const small = trainByteLevelBpe(["the naïve 🙂 quick brown fox 日本語 12345 don't 1234 the quick thé"], {
  vocabularySize: 300,
}).withSpecialTokens([end], { bos: end, eos: end });

/** The small one, but for some parts of its file. */
function changed(parts: object, roles: TokenRoles = small.roles): Tokenizer {
  return tokenizerFromJson("test", { ...(small.toJson() as object), ...parts }, roles);
}

function cutBy(regex: string): object {
  const split = { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false };
  const bytes = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  return { pre_tokenizer: { type: "Sequence", pretokenizers: [split, bytes] } };
}
/** Llama 3's, whose words that are tokens are those tokens, and one that cuts in the same way without that. */
const llama3 = (ignoresMerges: boolean): Tokenizer => {
  const { model } = small.toJson() as { model: object };
  return changed({ ...cutBy(words("\\p{N}{1,3}")), model: { ...model, ignore_merges: ignoresMerges } });
};
const words = (digits: string): string =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

const beginning = {
  type: "TemplateProcessing",
  single: [{ SpecialToken: { id: end, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
  pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 0 } }],
  special_tokens: { [end]: { id: end, ids: [small.idOf(end)], tokens: [end] } },
};

/** What Llama 2 has: pieces of words with `▁` for a space, and bytes for what has no piece. */
function sentencePiece(addsSpace: boolean): Tokenizer {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
  const merges = ["▁ t", "h e", "▁t he", "▁ ▁", "▁▁ ▁▁", "l l", "▁ w", "o r", "▁w or", "n d", "a nd", "▁ and"];
  const pieces = [..."▁abcdefghilmnorstuw,.!日", ...merges.map((pair) => pair.replace(" ", ""))];
  const vocabulary = [...new Set(["<unk>", "<s>", "</s>", ...bytes, ...pieces])];
  const mark = { type: "Replace", pattern: { String: " " }, content: "▁" };
  const unmark = { type: "Replace", pattern: { String: "▁" }, content: " " };
  const strip = addsSpace ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : [];
  const json = {
    added_tokens: ["<unk>", "<s>", "</s>"].map((content, id) => ({ id, content, normalized: false, special: true })),
    normalizer: addsSpace ? { type: "Sequence", normalizers: [{ type: "Prepend", prepend: "▁" }, mark] } : mark,
    decoder: { type: "Sequence", decoders: [unmark, { type: "ByteFallback" }, { type: "Fuse" }, ...strip] },
    model: {
      ...{ type: "BPE", byte_fallback: true, fuse_unk: true, unk_token: "<unk>", merges },
      vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
    },
  };
  return tokenizerFromJson("test", json, { bos: "<s>", eos: "</s>", unk: "<unk>" });
}

const kinds: [string, Tokenizer, Record<string, unknown>][] = [
  ["GPT-2's", small, { "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2" }],
  ["Llama 3's", llama3(true), { "tokenizer.ggml.pre": "llama-bpe" }],
  ["OLMo 2's", llama3(false), { "tokenizer.ggml.pre": "dbrx" }],
  ["Qwen's", changed(cutBy(words("\\p{N}"))), { "tokenizer.ggml.pre": "qwen2" }],
  ["one that begins texts", changed({ post_processor: beginning }), { "tokenizer.ggml.add_bos_token": true }],
  ["Llama 2's", sentencePiece(true), { "tokenizer.ggml.model": "llama", "tokenizer.ggml.add_space_prefix": true }],
  ["Gemma's", sentencePiece(false), { "tokenizer.ggml.model": "llama", "tokenizer.ggml.add_space_prefix": false }],
];

describe.each(kinds)("%s", (_, tokenizer, expected) => {
  const rows = tokenizer.vocabularySize + 2;
  const metadata = tokenizerMetadata(new ChatEncoder(tokenizer, null), rows);
  const value = (key: string): unknown => {
    const found = metadata.get(key);
    return found?.type === "array" ? found.values.length : found?.value;
  };

  test("has the metadata that llama.cpp wants", () => {
    for (const [key, wanted] of Object.entries(expected)) expect(value(key), key).toBe(wanted);
    expect(value("tokenizer.ggml.tokens")).toBe(rows);
    expect(value("tokenizer.ggml.token_type")).toBe(rows);
    expect(value("tokenizer.ggml.eos_token_id")).toBe(tokenizer.endOfText);
  });

  test("comes back with the same ids of any text", () => {
    const back = tokenizerFromMetadata("x.gguf", metadata);
    expect(back.kind).toBe(tokenizer.kind);
    expect(back.roles).toEqual(tokenizer.roles);
    expect(back.vocabularySize).toBe(tokenizer.vocabularySize);
    expect(back.frame(Int32Array.of(5)).ids).toEqual(tokenizer.frame(Int32Array.of(5)).ids);
    fc.assert(
      fc.property(anyText, (text) => {
        const ids = tokenizer.encode(text);
        expect(back.encode(text)).toEqual(ids);
        expect(back.decode(ids)).toBe(tokenizer.decode(ids));
      }),
      { numRuns: 50 },
    );
  });
});

test("every token that ends a turn is named, and comes back: the template's own first", () => {
  const tokenizer = small.withSpecialTokens([...chatMlTokens, "<|eom|>"]);
  const [endOfText, turn, message] = [end, "<|im_end|>", "<|eom|>"].map((token) => tokenizer.idOf(token) ?? -1);
  const folderIds = { beginOfText: 5, ends: [endOfText ?? -1, message ?? -1] };
  const metadata = tokenizerMetadata(new ChatEncoder(tokenizer, new ChatTemplate(chatMl), folderIds), 320);
  const ids = ["bos", "eos", "eot", "eom"].map((name) => metadata.get(`tokenizer.ggml.${name}_token_id`));
  expect(ids).toEqual([endOfText, endOfText, turn, message].map((value) => ({ type: "uint32", value })));
  const back = tokenizerFromMetadata("x.gguf", metadata);
  expect([...endsFromMetadata(metadata, back)]).toEqual([endOfText, turn, message]);
});

test("what is put around a text is what the file says or, where it does not, what llama.cpp takes for granted", () => {
  const bounds = (tokenizer: Tokenizer, flags: Readonly<Record<string, boolean | null>>): unknown => {
    const metadata = tokenizerMetadata(new ChatEncoder(tokenizer, null), 400);
    for (const [name, value] of Object.entries(flags)) {
      if (value === null) metadata.delete(`tokenizer.ggml.${name}`);
      else metadata.set(`tokenizer.ggml.${name}`, { type: "bool", value });
    }
    return boundsOf(tokenizerFromMetadata("x.gguf", metadata));
  };
  const id = small.idOf(end);
  expect(bounds(small, { add_bos_token: null })).toEqual({ before: [], behind: [] });
  expect(bounds(llama3(true), { add_bos_token: null })).toEqual({ before: [id], behind: [] });
  expect(bounds(sentencePiece(true), { add_bos_token: null })).toEqual({ before: [1], behind: [] });
  expect(bounds(sentencePiece(true), { add_eos_token: true })).toEqual({ before: [], behind: [2] });
});

test("what llama.cpp has no name for is refused", () => {
  const spaced = changed({ pre_tokenizer: { type: "ByteLevel", add_prefix_space: true, use_regex: true } });
  expect(() => tokenizerMetadata(new ChatEncoder(spaced, null), 400)).toThrow(
    "llama.cpp has no name for this way to cut text",
  );
  expect(() => tokenizerMetadata(new ChatEncoder(changed(cutBy("\\p{L}+|.")), null), 400)).toThrow(UnsupportedError);
  const unknown = new Map<string, GgufValue>([["tokenizer.ggml.model", { type: "string", value: "t5" }]]);
  expect(() => tokenizerFromMetadata("x.gguf", unknown)).toThrow(
    "x.gguf: its tokenizer is t5 (gpt-2); known are llama",
  );
});

test("scores that are missing or too few are a damaged file", () => {
  const metadata = tokenizerMetadata(new ChatEncoder(sentencePiece(true), null), 300);
  metadata.set("tokenizer.ggml.scores", { type: "array", elementType: "float32", values: Float32Array.of(1) });
  expect(() => tokenizerFromMetadata("x.gguf", metadata)).toThrow("tokenizer.ggml.scores is missing or not as long");
});
