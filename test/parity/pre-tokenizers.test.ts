import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { tokenizerFromMetadata, tokenizerMetadata } from "../../src/checkpoint/gguf-tokenizer.ts";
import { ChatEncoder } from "../../src/text/encode-chat.ts";
import { tokenizerFromJson } from "../../src/text/read-tokenizer.ts";

const fixtures = join(import.meta.dirname, "fixtures", "pre-tokenizers");
const names = readdirSync(fixtures).map((file) => file.replace(/\.json$/, ""));

describe.each(names)("%s", (name) => {
  const { tokenizer: json, texts, ids } = JSON.parse(readFileSync(join(fixtures, `${name}.json`), "utf8"));
  const end = "<|endoftext|>";
  const tokenizer = tokenizerFromJson(name, json, { bos: end, eos: end });

  test("ids are those of the tokenizers library", () => {
    expect(texts.map((text: string) => [...tokenizer.encode(text)])).toEqual(ids);
  });

  test("leaves under its name, and comes back with the same ids", () => {
    const metadata = tokenizerMetadata(new ChatEncoder(tokenizer, null), tokenizer.vocabularySize);
    expect(metadata.get("tokenizer.ggml.pre")).toEqual({ type: "string", value: name });
    const back = tokenizerFromMetadata(name, metadata);
    expect(texts.map((text: string) => [...back.encode(text)])).toEqual(ids);
  });
});
