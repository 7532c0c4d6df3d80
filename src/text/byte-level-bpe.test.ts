import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Tokenizer as PeerTokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { encode as gpt3Encode } from "gpt-3-encoder";
import { decode as r50kDecode, encode as r50kEncode } from "gpt-tokenizer/encoding/r50k_base";
import { expect, test } from "vitest";
import { anyString, anyText } from "../../test/any-text.ts";
import { CheckpointError, SettingsError } from "../core/errors.ts";
import { specialToken } from "./added-token.ts";
import { trainByteLevelBpe } from "./bpe-trainer.ts";
import { ByteLevelBpe } from "./byte-level-bpe.ts";
import { Gpt2Words } from "./gpt2-words.ts";
import { tokenizerFromJson } from "./read-tokenizer.ts";
import { tokenizerFiles } from "./tokenizer-files.ts";

const gpt2 = publishedGpt2();
const end = 50256;
const small = trainByteLevelBpe(["the naïve 🙂 quick brown fox 日本語 the quick <|endoftext|> thé"], {
  vocabularySize: 300,
});

function publishedGpt2(): ByteLevelBpe {
  const folder = join(createRequire(import.meta.url).resolve("gpt-3-encoder"), "..");
  const vocabulary = Object.entries(JSON.parse(readFileSync(join(folder, "encoder.json"), "utf8"))) as [
    string,
    number,
  ][];
  const merges = readFileSync(join(folder, "vocab.bpe"), "utf8").trim().split("\n").slice(1);
  return new ByteLevelBpe({
    vocabulary: new Map(vocabulary),
    merges: merges.map((line) => line.split(" ") as [string, string]),
    addedTokens: [specialToken("<|endoftext|>", 50256)],
    roles: { bos: "<|endoftext|>", eos: "<|endoftext|>", unk: "<|endoftext|>" },
  });
}

/** Hugging Face's own reader, opening the files that we would write. */
function peerOf(tokenizer: ByteLevelBpe): PeerTokenizer {
  const files = tokenizerFiles(tokenizer);
  return new PeerTokenizer(JSON.parse(files["tokenizer.json"]!), JSON.parse(files["tokenizer_config.json"]!));
}

test.each([
  ["Hello world", [15496, 995]],
  ["Hello, I'm a language model,", [15496, 11, 314, 1101, 257, 3303, 2746, 11]],
  [" 123 1234567", [17031, 17031, 2231, 3134]],
  ["  two  spaces \n\n", [220, 734, 220, 9029, 220, 628]],
  ["", []],
])("GPT-2's ids of %j", (text, ids) => {
  expect([...gpt2.encode(text)]).toEqual(ids);
  expect(gpt2.decode(ids)).toBe(text);
});

test("ids are GPT-2's on any text, by two other encoders", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const ids = [...gpt2.encode(text, { recognizeSpecialTokens: false })];
      expect(ids).toEqual(gpt3Encode(text));
      expect(ids).toEqual(r50kEncode(text, { disallowedSpecial: new Set() }));
      expect(r50kDecode(ids)).toBe(text);
    }),
    { numRuns: 300 },
  );
});

test("white space is Unicode's, where JavaScript's \\s is not", () => {
  const words = (text: string): string[] => {
    const scanner = new Gpt2Words().scan(text);
    const found: string[] = [];
    while (scanner.next())
      found.push(
        new TextDecoder("utf-8", { ignoreBOM: true }).decode(scanner.bytes.subarray(scanner.start, scanner.end)),
      );
    return found;
  };
  expect(words("a\u0085\u0085b")).toEqual(["a", "\u0085", "\u0085", "b"]); // NEL is white space
  expect(words("a \ufeff!b")).toEqual(["a", " \ufeff!", "b"]); // a byte order mark is not
  expect(words("a\u3000\u3000 b")).toEqual(["a", "\u3000\u3000", " b"]);
  expect(words("we'll 'LL it's")).toEqual(["we", "'ll", " '", "LL", " it", "'s"]);
});

test("decoding gives the text back, lone surrogates as U+FFFD", () => {
  fc.assert(
    fc.property(anyString, (text) => {
      expect(gpt2.decode(gpt2.encode(text))).toBe(Buffer.from(text).toString());
    }),
  );
});

test("streamed text is the decoded text, and never a part of a character", () => {
  const ids = fc.array(fc.integer({ min: 0, max: end }), { maxLength: 30 });
  fc.assert(
    fc.property(
      fc.oneof(
        ids,
        anyText.map((text) => [...gpt2.encode(text)]),
      ),
      fc.boolean(),
      (tokens, skip) => {
        const options = { skipSpecialTokens: skip };
        const stream = gpt2.streamDecoder(options);
        const pieces = tokens.map((id) => stream.push(id));
        expect([...pieces, stream.flush()].join("")).toBe(gpt2.decode(tokens, options));
        // The decoder is as new after `flush`.
        expect(tokens.map((id) => stream.push(id))).toEqual(pieces);
      },
    ),
  );
  const face = [...gpt2.encode("🙂")];
  const stream = gpt2.streamDecoder();
  expect(face.map((id) => stream.push(id))).toEqual([...face.slice(1).map(() => ""), "🙂"]);
  expect([stream.push(face[0]!), stream.flush(), stream.push(face[0]!)]).toEqual(["", "\ufffd", ""]);
});

test("text can be cut where cutPoint says, whatever follows", () => {
  fc.assert(
    fc.property(anyString, anyString, (first, second) => {
      const cut = gpt2.cutPoint(first);
      const text = first + second;
      expect([...gpt2.encode(text.slice(0, cut)), ...gpt2.encode(text.slice(cut))]).toEqual([...gpt2.encode(text)]);
    }),
  );
  expect(gpt2.cutPoint("one two  three")).toBe(7);
  expect(gpt2.cutPoint("one")).toBe(0);
});

test("special tokens are one id, unless the text is a stranger's", () => {
  const text = "a<|endoftext|>b";
  expect([...gpt2.encode(text)]).toEqual([64, end, 65]);
  expect([...gpt2.encode(text, { recognizeSpecialTokens: false })]).not.toContain(end);
  expect(gpt2.decode([64, end, 65])).toBe(text);
  expect(gpt2.decode([64, end, 65], { skipSpecialTokens: true })).toBe("ab");
  expect(gpt2.endOfText).toBe(end);
});

test("more special tokens take the next ids; known tokens keep theirs", () => {
  const chat = gpt2.withSpecialTokens(["<|im_start|>", "<|im_end|>", "<|endoftext|>", "the"], { eos: "<|im_end|>" });
  expect(chat.vocabularySize).toBe(50259);
  expect([...chat.encode("<|im_start|>user<|im_end|>")]).toEqual([50257, 7220, 50258]);
  expect([...chat.specialTokens]).toEqual([
    ["<|endoftext|>", end],
    ["<|im_start|>", 50257],
    ["<|im_end|>", 50258],
    ["the", 1169],
  ]);
  expect([chat.endOfText, chat.roles.bos]).toEqual([50258, "<|endoftext|>"]);
  expect(gpt2.vocabularySize).toBe(50257);
  expect(() => gpt2.withSpecialTokens([""])).toThrow(SettingsError);
  expect(() => gpt2.withSpecialTokens([], { pad: "<pad>" })).toThrow(
    'special tokens: the pad token "<pad>" is not in the vocabulary; add it as well',
  );
});

test("the longest of several special tokens is taken, the leftmost first", () => {
  const tokens = small.withSpecialTokens(["<a>", "<a><b>", "<b>"]);
  const [a, ab, b] = ["<a>", "<a><b>", "<b>"].map((token) => tokens.idOf(token));
  expect([...tokens.encode("<a><b><b><a>")]).toEqual([ab, b, a]);
});

test("@huggingface/tokenizers opens what is written and agrees", () => {
  for (const tokenizer of [gpt2, small.withSpecialTokens(["<|user|>"])]) {
    const peer = peerOf(tokenizer);
    fc.assert(
      fc.property(anyString, (text) => {
        const ids = [...tokenizer.encode(text)];
        expect(ids).toEqual(peer.encode(text, { add_special_tokens: false }).ids);
        if (ids.length > 0) expect(tokenizer.decode(ids)).toBe(peer.decode(ids));
      }),
    );
  }
});

test("a tokenizer is the same after writing and reading", () => {
  const chat = small.withSpecialTokens(["<|im_start|>"], { pad: "<|endoftext|>" });
  const files = tokenizerFiles(chat);
  const read = tokenizerFromJson("tokenizer.json", JSON.parse(files["tokenizer.json"]!), chat.roles);
  expect(tokenizerFiles(read)).toEqual(files);
  expect(read.encode("to <|im_start|>")).toEqual(chat.encode("to <|im_start|>"));
});

test("many distinct and very long words are encoded like any", () => {
  const long = "ab".repeat(5000);
  const ids = [...gpt2.encode(long)];
  expect(gpt2.decode(ids)).toBe(long);
  expect(ids).toEqual(r50kEncode(long));
  const distinct = Array.from({ length: 140_000 }, (_, i) => ` w${i.toString(36)}`);
  const whole = gpt2.encode(distinct.join(""));
  expect([...whole.slice(-40)]).toEqual([...gpt2.encode(distinct.slice(-40).join(""))].slice(-40));
});

test("ids that no token has, such as the rows of a rounded-up embedding, are no text", () => {
  expect(gpt2.decode([1, 50257, 50303, 0])).toBe('"!');
  const stream = gpt2.streamDecoder();
  expect([stream.push(1), stream.push(50303), stream.push(0), stream.flush()]).toEqual(['"', "", "!", ""]);
});

test("bytes that are not in the vocabulary are refused with their value", () => {
  const few = new ByteLevelBpe({ vocabulary: new Map([["a", 0]]), merges: [], addedTokens: [] });
  expect([...few.encode("aa")]).toEqual([0, 0]);
  expect(() => few.encode("aé")).toThrow("encode: byte 0xc3 is not in the vocabulary of 1 tokens");
  expect([...few.encode("a")]).toEqual([0]);
});

test("parts that do not belong together are refused", () => {
  const vocabulary = new Map([
    ["a", 0],
    ["b", 1],
  ]);
  expect(() => new ByteLevelBpe({ vocabulary, merges: [["a", "b"]], addedTokens: [] }, "x.json")).toThrow(
    new CheckpointError(
      'x.json: merge 1 ("a" "b") needs the token "ab", which the vocabulary does not have; vocabulary and merges do not belong together',
    ),
  );
  expect(() => new ByteLevelBpe({ vocabulary, merges: [], addedTokens: [specialToken("<s>", 1)] }, "x.json")).toThrow(
    'x.json: tokens "b" and "<s>" have the same id 1; the file is damaged',
  );
});
