import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GgufMixture } from "../src/models/gguf/mixtures.ts";
import type { MachineLimits } from "./machine-limits.ts";
import type { Cost } from "./peers/cost.ts";
import { PeerProcess } from "./peers/peer-process.ts";
import type { LlamaShape } from "./peers/random-gguf.ts";
import { matrixBytes, writeRandomGguf } from "./peers/random-gguf.ts";
import { decodingShape, decodingShapeOf256 } from "./shapes.ts";
import { formatNumber, formatRatio, formatShare, formatTable, median } from "./table.ts";
import type { Measured, Side } from "./turns.ts";
import { takeTurns } from "./turns.ts";

/** Tokens a second, and ours over the peer's; null for ourselves. */
export interface Speed {
  readonly perSecond: number;
  readonly perCpuSecond: number;
  readonly speedup: number | null;
  readonly cpuSpeedup: number | null;
}

/** One program reading a prompt and decoding, at batch 1, with weights in one format and so many threads. */
export interface DecodingResult {
  readonly program: string;
  readonly isOurs: boolean;
  readonly threads: number;
  readonly weights: GgufMixture;
  readonly prompt: Speed;
  readonly decode: Speed;
  /** Weights read for each token, times tokens a second. */
  readonly bytesPerSecond: number;
  /** Share of how fast the machine reads memory. */
  readonly shareOfBandwidth: number;
  /** Until the model is open. */
  readonly startSeconds: number;
  readonly peakBytes: number;
}

interface Answer {
  readonly prompt: Cost;
  readonly decode: Cost;
  readonly startSeconds: number;
  readonly peakBytes: number;
  readonly version?: string;
}

const lengths = { promptTokens: 256, decodeTokens: 64 };
/** Weights, and whose: of a mixture of blocks of 256 they are those of a model whose rows they fill. */
const models: readonly (readonly [weights: GgufMixture, shape: LlamaShape])[] = [
  ["F32", decodingShape],
  ["BF16", decodingShape],
  ["Q8_0", decodingShape],
  ["Q4_0", decodingShape],
  ["Q4_K_M", decodingShapeOf256],
];
/** llama.cpp was seen to wait for its own threads without an end. */
const limitSeconds = 120;

/** Measures a Llama of SmolLM2-135M's shape beside llama.cpp, in every format, on one thread and on all of them. */
export async function benchmarkDecoding(
  { threads, rounds }: { readonly threads: number; readonly rounds: number },
  limits: MachineLimits,
  leftOut: (reason: string) => void,
): Promise<DecodingResult[]> {
  const results: Omit<DecodingResult, "shareOfBandwidth">[] = [];
  for (const [weights, shape] of models) {
    const folder = await mkdtemp(join(tmpdir(), "stemma-bench-"));
    try {
      const model = join(folder, "llama.gguf");
      await writeRandomGguf(model, shape, weights);
      for (const count of threads > 1 ? [1, threads] : [1]) {
        const measured = await takeTurns<Answer>(
          sidesOf(model, count),
          rounds,
          (why) => leftOut(`${why} (${count} ${count === 1 ? "thread" : "threads"})`),
          () => limits.measureBandwidth(count),
        );
        const ours = measured.find(({ side }) => side.isOurs);
        const bytes = matrixBytes(shape, weights);
        results.push(...measured.map((one) => resultOf(one, ours ?? one, { threads: count, weights, bytes })));
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  }
  // Only now is it known how many threads read fastest.
  return results.map((row) => ({ ...row, shareOfBandwidth: row.bytesPerSecond / limits.bandwidth }));
}

function sidesOf(model: string, threads: number): Side<Answer>[] {
  const ours = PeerProcess.script(join(import.meta.dirname, "decoding.ts"));
  const llama = PeerProcess.script(join(import.meta.dirname, "peers/llama.ts"));
  const command = (): object => ({ model, threads, ...lengths });
  return [
    { name: "Stemma", isOurs: true, process: ours, command },
    { name: "llama.cpp", isOurs: false, process: llama, command, limitSeconds },
  ];
}

function resultOf(
  { side, answers }: Measured<Answer>,
  ours: Measured<Answer>,
  { threads, weights, bytes }: { readonly threads: number; readonly weights: GgufMixture; readonly bytes: number },
): Omit<DecodingResult, "shareOfBandwidth"> {
  const of = (tokens: number, cost: (answer: Answer) => Cost): Speed => {
    const rate = (all: readonly Answer[], time: keyof Cost): number =>
      tokens / median(all.map((answer) => cost(answer)[time]));
    const own = { perSecond: rate(answers, "seconds"), perCpuSecond: rate(answers, "cpuSeconds") };
    if (side.isOurs) return { ...own, speedup: null, cpuSpeedup: null };
    return {
      ...own,
      speedup: rate(ours.answers, "seconds") / own.perSecond,
      cpuSpeedup: rate(ours.answers, "cpuSeconds") / own.perCpuSecond,
    };
  };
  const decode = of(lengths.decodeTokens, (answer) => answer.decode);
  return {
    program: [side.name, answers.at(-1)?.version ?? ""].join(" ").trim(),
    ...{ isOurs: side.isOurs, threads, weights, decode },
    prompt: of(lengths.promptTokens, (answer) => answer.prompt),
    bytesPerSecond: decode.perSecond * bytes,
    startSeconds: median(answers.map((answer) => answer.startSeconds)),
    peakBytes: median(answers.map((answer) => answer.peakBytes)),
  };
}

/** The results as two tables: reading a prompt, and decoding. */
export function decodingTables(results: readonly DecodingResult[]): { prompt: string[]; decode: string[] } {
  const headings = ["<threads", "<weights", "<program", "tokens/s", "Stemma's speed", "tokens/CPU-s", "Stemma's speed"];
  const cells = (row: DecodingResult, { perSecond, perCpuSecond, speedup, cpuSpeedup }: Speed): string[] => [
    ...[row.isOurs ? String(row.threads) : "", row.isOurs ? row.weights : "", row.program],
    ...[formatNumber(perSecond), formatRatio(speedup), formatNumber(perCpuSecond), formatRatio(cpuSpeedup)],
  ];
  return {
    prompt: formatTable(
      [...headings, "memory MB", "start s"],
      results.map((row) => [
        ...cells(row, row.prompt),
        ...[formatNumber(row.peakBytes / 1e6), formatNumber(row.startSeconds)],
      ]),
    ),
    decode: formatTable(
      [...headings, "GB/s", "of bandwidth"],
      results.map((row) => [
        ...cells(row, row.decode),
        ...[formatNumber(row.bytesPerSecond / 1e9), formatShare(row.shareOfBandwidth)],
      ]),
    ),
  };
}
