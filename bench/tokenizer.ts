/**
 * Our side of the tokenizer benchmark, a process like the peers'. Lines such as `{"documents": "texts.json", "learn":
 * 4096}` or `{"documents": "texts.json", "tokenizer": "tokenizer.json"}` are answered with `{"seconds": …, "bytes": …,
 * "tokens": …}`: the time to learn a byte-level BPE of so many tokens, or to encode all documents one by one, the UTF-8
 * length of the text, and how many tokens there are. Files are read, and a tokenizer opened, outside of the time.
 */
import { readFile } from "node:fs/promises";
import { trainByteLevelBpe } from "../src/text/bpe-trainer.ts";
import { loadTokenizer } from "../src/text/load-tokenizer.ts";
import type { Tokenizer } from "../src/text/tokenizer.ts";
import { answerLines } from "./peers/answer-lines.ts";
import type { TokenizerCommand } from "./tokenizer-benchmark.ts";

let opened: { readonly path: string; readonly tokenizer: Tokenizer } | null = null;

await answerLines<TokenizerCommand>(async (command) => {
  const documents = JSON.parse(await readFile(command.documents, "utf8")) as string[];
  const bytes = documents.reduce((length, text) => length + Buffer.byteLength(text), 0);
  const { learn, tokenizer: path } = command;
  if (path !== undefined && opened?.path !== path) opened = { path, tokenizer: await loadTokenizer(path) };
  const start = performance.now();
  const tokens = learn === undefined ? encode(documents) : learnTokens(documents, learn);
  return { seconds: (performance.now() - start) / 1000, bytes, tokens };
});

function encode(documents: readonly string[]): number {
  if (!opened) throw new Error("the command names no tokenizer");
  let tokens = 0;
  for (const text of documents) tokens += opened.tokenizer.encode(text).length;
  return tokens;
}

function learnTokens(documents: readonly string[], vocabularySize: number): number {
  return trainByteLevelBpe(documents, { vocabularySize, minFrequency: 1, specialTokens: [] }).vocabularySize;
}
