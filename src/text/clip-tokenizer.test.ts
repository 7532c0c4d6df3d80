import { Tokenizer as PeerTokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { expect, test } from "vitest";
import { anyText } from "../../test/any-text.ts";
import { byteLevelAlphabet } from "./byte-alphabet.ts";
import { bytesOfTokens } from "./bytes-of-tokens.ts";
import { tokenizerFromJson } from "./read-tokenizer.ts";

const merges = ["c a", "ca t</w>", "d o", "do g</w>", "a p", "ap p", "app l", "appl e</w>", "Ã ¯"];
const single = [...byteLevelAlphabet];
const spelled = [...single, ...single.map((byte) => `${byte}</w>`), ...merges.map((pair) => pair.replace(" ", ""))];
const [start, end] = [spelled.length, spelled.length + 1];
const special = (content: string, id: number): object => {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
};

/** What `transformers` writes for CLIP, with another vocabulary. */
const json = {
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: [special("<|startoftext|>", start), special("<|endoftext|>", end)],
  normalizer: {
    type: "Sequence",
    normalizers: [
      { type: "NFC" },
      { type: "Replace", pattern: { Regex: "\\s+" }, content: " " },
      { type: "Lowercase" },
    ],
  },
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      {
        type: "Split",
        pattern: {
          Regex: "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+",
        },
        behavior: "Removed",
        invert: true,
      },
      { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    ],
  },
  post_processor: {
    type: "RobertaProcessing",
    sep: ["<|endoftext|>", end],
    cls: ["<|startoftext|>", start],
    trim_offsets: false,
    add_prefix_space: false,
  },
  decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: "BPE",
    dropout: null,
    unk_token: "<|endoftext|>",
    continuing_subword_prefix: "",
    end_of_word_suffix: "</w>",
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab: Object.fromEntries([...spelled, "<|startoftext|>", "<|endoftext|>"].map((token, id) => [token, id])),
    merges,
  },
};
const roles = { bos: "<|startoftext|>", eos: "<|endoftext|>" };
const config = { tokenizer_class: "CLIPTokenizer", bos_token: roles.bos, eos_token: roles.eos };
const tokenizer = tokenizerFromJson("tokenizer.json", JSON.parse(JSON.stringify(json)), roles);

test("a text has the ids that transformers gives it", () => {
  // Recorded with transformers' CLIPTokenizer of the same vocabulary, without the last merge.
  const ids = tokenizer.encode("A cat, apples 12 don't!");
  expect([...tokenizer.frame(ids).ids]).toEqual([
    start,
    320,
    513,
    267,
    518,
    68,
    338,
    272,
    273,
    514,
    333,
    6,
    339,
    256,
    end,
  ]);
  expect(tokenizer.decode(ids)).toBe("a cat , apples 1 2 don 't !");
  expect(tokenizer.decode(tokenizer.encode("naïve"))).toBe("naïve");
});

test("any text has the ids of another library, and pieces that come one by one are the whole", () => {
  const peer = new PeerTokenizer(json as unknown as ConstructorParameters<typeof PeerTokenizer>[0], config);
  fc.assert(
    fc.property(anyText, (text) => {
      // The other library lower-cases a whole text, in which Σ at the end of a word is ς.
      fc.pre(text.toLowerCase() === [...text].map((letter) => letter.toLowerCase()).join(""));
      const ids = tokenizer.encode(text);
      expect([...tokenizer.frame(ids).ids]).toEqual(peer.encode(text).ids);
      const decoder = tokenizer.streamDecoder();
      expect([...ids].map((id) => decoder.push(id)).join("") + decoder.flush()).toBe(tokenizer.decode(ids));
    }),
  );
});

test("it is written as it was read, and says that its tokens are not the bytes of texts", () => {
  const written = tokenizer.toJson();
  expect(written.normalizer).toEqual(json.normalizer);
  expect(written.pre_tokenizer).toEqual(json.pre_tokenizer);
  expect(written.model).toMatchObject({ end_of_word_suffix: "</w>", merges });
  expect(tokenizerFromJson("tokenizer.json", JSON.parse(JSON.stringify(written)), roles).encode("a dog")).toEqual(
    tokenizer.encode("a dog"),
  );
  expect(bytesOfTokens(tokenizer)).toBeNull();
});
