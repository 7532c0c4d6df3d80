/**
 * tiktoken beside Stemma: OpenAI's encoder, compiled from Rust to WebAssembly. The same commands and answers as
 * `bench/tokenizer.ts`, but for learning, which it does not do. The vocabulary is that of the `tokenizer.json` given.
 */
import { readFile } from "node:fs/promises";
import { bytesOfSpelling } from "../../src/text/byte-alphabet.ts";
import type { TokenizerCommand } from "../tokenizer-benchmark.ts";
import { answerLines } from "./answer-lines.ts";
import { loadPeer } from "./find-peer.ts";

const version = "1.0.22";

const words = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** The part of the package that the peer uses. */
interface TiktokenModule {
  readonly Tiktoken: new (ranks: string, specialTokens: Record<string, number>, pattern: string) => Tiktoken;
}

interface Tiktoken {
  encode_ordinary(text: string): Uint32Array;
}

let opened: { readonly path: string; readonly encoder: Tiktoken } | null = null;

await answerLines<TokenizerCommand>(async ({ documents: file, tokenizer: path }) => {
  if (path === undefined) throw new Error("tiktoken does not learn");
  const { Tiktoken } = await loadPeer<TiktokenModule>("tiktoken", version);
  if (opened?.path !== path) opened = { path, encoder: new Tiktoken(await ranksOf(path), {}, words) };
  const documents = JSON.parse(await readFile(file, "utf8")) as string[];
  const bytes = documents.reduce((length, text) => length + Buffer.byteLength(text), 0);
  const start = performance.now();
  let tokens = 0;
  for (const text of documents) tokens += opened.encoder.encode_ordinary(text).length;
  return { seconds: (performance.now() - start) / 1000, bytes, tokens, version };
});

/** Tokens as tiktoken lists them: a marker, the first rank, and the bytes of each in base64. */
async function ranksOf(path: string): Promise<string> {
  const { model } = JSON.parse(await readFile(path, "utf8")) as { model: { vocab: Record<string, number> } };
  const spelled = Object.entries(model.vocab).sort(([, a], [, b]) => a - b);
  const base64 = spelled.map(([token]) => Buffer.from(bytesOfSpelling(token) ?? []).toString("base64"));
  return `! 0 ${base64.join(" ")}`;
}
