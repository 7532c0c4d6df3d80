/**
 * Hugging Face's native tokenizers beside Stemma's, through `@anush008/tokenizers`: the same commands and answers as
 * `bench/tokenizer.ts`. The library's Node binding learns 30,000 tokens, whatever is asked.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TokenizerCommand } from "../tokenizer-benchmark.ts";
import { answerLines } from "./answer-lines.ts";
import { loadPeer } from "./find-peer.ts";

const version = "0.6.0";

/** The part of the package that the peer uses. */
interface Tokenizers {
  readonly Tokenizer: { fromString(json: string): NativeTokenizer };
}

interface NativeTokenizer {
  encode(text: string, pair: null, options: { addSpecialTokens: false }): Promise<{ getIds(): number[] }>;
  train(files: readonly string[]): void;
  getVocabSize(): number;
}

/** Byte-level BPE that has learnt nothing yet. */
const untrained = {
  ...{ version: "1.0", truncation: null, padding: null, added_tokens: [], normalizer: null, post_processor: null },
  pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
  decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
  model: { type: "BPE", vocab: {}, merges: [] },
};

let opened: { readonly path: string; readonly tokenizer: NativeTokenizer } | null = null;

await answerLines<TokenizerCommand>(async ({ documents: file, learn, tokenizer: path }) => {
  const { Tokenizer } = await loadPeer<Tokenizers>("@anush008/tokenizers", version);
  const documents = JSON.parse(await readFile(file, "utf8")) as string[];
  const bytes = documents.reduce((length, text) => length + Buffer.byteLength(text), 0);
  if (learn !== undefined) {
    const tokenizer = Tokenizer.fromString(JSON.stringify(untrained));
    const seconds = await secondsToLearn(tokenizer, documents);
    return { seconds, bytes, tokens: tokenizer.getVocabSize(), version };
  }
  if (path === undefined) throw new Error("the command names no tokenizer");
  if (opened?.path !== path) opened = { path, tokenizer: Tokenizer.fromString(await readFile(path, "utf8")) };
  const start = performance.now();
  let tokens = 0;
  for (const text of documents) {
    tokens += (await opened.tokenizer.encode(text, null, { addSpecialTokens: false })).getIds().length;
  }
  return { seconds: (performance.now() - start) / 1000, bytes, tokens, version };
});

async function secondsToLearn(tokenizer: NativeTokenizer, documents: readonly string[]): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "stemma-bench-"));
  try {
    const file = join(folder, "text.txt");
    await writeFile(file, documents.join(""));
    const start = performance.now();
    tokenizer.train([file]);
    return (performance.now() - start) / 1000;
  } finally {
    await rm(folder, { recursive: true });
  }
}
