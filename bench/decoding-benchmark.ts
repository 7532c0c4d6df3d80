import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MachineLimits } from "./machine-limits.ts";
import { PeerProcess } from "./peers/peer-process.ts";
import { writeRandomGguf } from "./peers/random-gguf.ts";
import { shapes } from "./shapes.ts";
import { formatNumber, formatRatio, formatShare, formatTable, median } from "./table.ts";
import type { Measured, Side } from "./turns.ts";
import { takeTurns } from "./turns.ts";

/** One program reading a prompt and decoding, at batch 1 and in float32, with so many threads. */
export interface DecodingResult {
  readonly program: string;
  readonly isOurs: boolean;
  readonly threads: number;
  readonly promptTokensPerSecond: number;
  readonly decodeTokensPerSecond: number;
  /** Weights read for each token, times tokens a second. */
  readonly bytesPerSecond: number;
  /** Share of how fast the machine reads memory. */
  readonly shareOfBandwidth: number;
  /** Our tokens a second over the peer's; null for ourselves. */
  readonly promptSpeedup: number | null;
  readonly decodeSpeedup: number | null;
}

interface Answer {
  readonly promptTokensPerSecond: number;
  readonly decodeTokensPerSecond: number;
  readonly version?: string;
}

const length = { promptTokens: 256, decodeTokens: 64 };
const sizes = { ...shapes.L, context: 1024 };

/** Weights that one token has to pass: all but the positions, of which it reads one row. */
const bytesPerToken = 4 * (sizes.layers * (12 * sizes.width ** 2 + 13 * sizes.width) + sizes.vocabulary * sizes.width);

/** Measures a GPT-2 of shape L beside llama.cpp, on one thread and on all of them. */
export async function benchmarkDecoding(
  { threads, rounds }: { readonly threads: number; readonly rounds: number },
  limits: MachineLimits,
  leftOut: (reason: string) => void,
): Promise<DecodingResult[]> {
  const folder = await mkdtemp(join(tmpdir(), "stemma-bench-"));
  const results: Omit<DecodingResult, "shareOfBandwidth">[] = [];
  try {
    const model = join(folder, "gpt2.gguf");
    await writeRandomGguf(model, sizes);
    for (const count of threads > 1 ? [1, threads] : [1]) {
      const measured = await takeTurns<Answer>(
        sidesOf(model, count),
        rounds,
        (why) => count === 1 && leftOut(why),
        () => limits.measureBandwidth(count),
      );
      const ours = measured.find(({ side }) => side.isOurs);
      results.push(...measured.map((one) => resultOf(one, ours ?? one, count)));
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  // Only now is it known how many threads read fastest.
  return results.map((row) => ({ ...row, shareOfBandwidth: row.bytesPerSecond / limits.bandwidth }));
}

function sidesOf(model: string, threads: number): Side<Answer>[] {
  const ours = PeerProcess.script(join(import.meta.dirname, "decoding.ts"));
  const llama = PeerProcess.script(join(import.meta.dirname, "peers/llama.ts"));
  return [
    { name: "Stemma", isOurs: true, process: ours, command: () => ({ shape: shapes.L, threads, ...length }) },
    { name: "llama.cpp", isOurs: false, process: llama, command: () => ({ model, threads, ...length }) },
  ];
}

function resultOf(
  { side, answers }: Measured<Answer>,
  ours: Measured<Answer>,
  threads: number,
): Omit<DecodingResult, "shareOfBandwidth"> {
  const promptRate = (all: Measured<Answer>): number => median(all.answers.map((a) => a.promptTokensPerSecond));
  const decodeRate = (all: Measured<Answer>): number => median(all.answers.map((a) => a.decodeTokensPerSecond));
  const [prompt, decode] = [promptRate({ side, answers }), decodeRate({ side, answers })];
  return {
    program: [side.name, answers.at(-1)?.version ?? ""].join(" ").trim(),
    ...{ isOurs: side.isOurs, threads, promptTokensPerSecond: prompt, decodeTokensPerSecond: decode },
    bytesPerSecond: decode * bytesPerToken,
    promptSpeedup: side.isOurs ? null : promptRate(ours) / prompt,
    decodeSpeedup: side.isOurs ? null : decodeRate(ours) / decode,
  };
}

/** The results as a table. */
export function decodingTable(results: readonly DecodingResult[]): string[] {
  const headings = ["<threads", "<program", "prompt tokens/s", "Stemma's speed", "decode tokens/s", "GB/s"];
  return formatTable(
    [...headings, "of bandwidth", "Stemma's speed"],
    results.map((row) => [
      ...[row.isOurs ? String(row.threads) : "", row.program],
      ...[formatNumber(row.promptTokensPerSecond), formatRatio(row.promptSpeedup)],
      ...[formatNumber(row.decodeTokensPerSecond), formatNumber(row.bytesPerSecond / 1e9)],
      ...[formatShare(row.shareOfBandwidth), formatRatio(row.decodeSpeedup)],
    ]),
  );
}
