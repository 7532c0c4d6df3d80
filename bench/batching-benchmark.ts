import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Cost } from "./peers/cost.ts";
import { PeerProcess } from "./peers/peer-process.ts";
import { writeRandomGguf } from "./peers/random-gguf.ts";
import { batchingShape } from "./shapes.ts";
import { formatNumber, formatRatio, formatTable, median } from "./table.ts";
import type { Side } from "./turns.ts";
import { takeTurns } from "./turns.ts";

/** What both sides are asked. */
export interface BatchingCommand {
  readonly model: string;
  readonly threads: number;
  readonly sequences: number;
  readonly promptTokens: number;
  readonly decodeTokens: number;
  readonly sampling: { readonly temperature: number; readonly topK: number; readonly topP: number };
}

/** One program decoding so many sequences side by side. */
export interface BatchingResult {
  readonly program: string;
  readonly sequences: number;
  readonly perSecond: number;
  readonly perCpuSecond: number;
  /** Its tokens a second over those of one sequence. */
  readonly gain: number | null;
  /** Our tokens a second, and a second of processor, over the peer's; null for ourselves. */
  readonly speedup: number | null;
  readonly cpuSpeedup: number | null;
}

const asked = { promptTokens: 16, decodeTokens: 64, sampling: { temperature: 1, topK: 40, topP: 0.95 } };
const batches = [1, 8, 16] as const;
/** llama.cpp was seen to wait for its own threads without an end. */
const limitSeconds = 120;

/** Measures sequences that are decoded side by side, beside llama.cpp. */
export async function benchmarkBatching(
  threads: number,
  rounds: number,
  leftOut: (reason: string) => void,
): Promise<BatchingResult[]> {
  const folder = await mkdtemp(join(tmpdir(), "stemma-bench-"));
  try {
    const model = join(folder, "llama.gguf");
    await writeRandomGguf(model, batchingShape, "F32");
    const sizes = new Map(
      batches.flatMap((sequences) =>
        sidesOf({ ...asked, model, threads, sequences }).map((side) => [side, sequences] as const),
      ),
    );
    const measured = await takeTurns<Cost>([...sizes.keys()], rounds, leftOut);
    const rows = measured.map(({ side, answers }) => {
      const sequences = sizes.get(side) ?? 1;
      const rate = (time: keyof Cost): number =>
        (sequences * asked.decodeTokens) / median(answers.map((answer) => answer[time]));
      return { side, sequences, perSecond: rate("seconds"), perCpuSecond: rate("cpuSeconds") };
    });
    return rows.map(({ side, ...row }) => {
      const one = rows.find((other) => other.side.isOurs === side.isOurs && other.sequences === 1);
      const ours = side.isOurs ? null : rows.find((other) => other.side.isOurs && other.sequences === row.sequences);
      return {
        ...row,
        program: side.isOurs ? "Stemma" : "llama.cpp",
        gain: one ? row.perSecond / one.perSecond : null,
        speedup: ours ? ours.perSecond / row.perSecond : null,
        cpuSpeedup: ours ? ours.perCpuSecond / row.perCpuSecond : null,
      };
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

function sidesOf(command: BatchingCommand): Side<Cost>[] {
  const ours = PeerProcess.script(join(import.meta.dirname, "batching.ts"));
  const llama = PeerProcess.script(join(import.meta.dirname, "peers/llama-batching.ts"));
  const { sequences } = command;
  return [
    { name: `${sequences} Stemma`, isOurs: true, process: ours, command: () => command },
    { name: `${sequences} llama.cpp`, isOurs: false, process: llama, command: () => command, limitSeconds },
  ];
}

/** The results as a table. */
export function batchingTable(results: readonly BatchingResult[]): string[] {
  return formatTable(
    ["sequences", "<program", "tokens/s", "× one", "Stemma's speed", "tokens/CPU-s", "Stemma's speed"],
    results.map(({ sequences, program, perSecond, gain, speedup, perCpuSecond, cpuSpeedup }) => [
      ...[speedup === null ? String(sequences) : "", program, formatNumber(perSecond), formatRatio(gain)],
      ...[formatRatio(speedup), formatNumber(perCpuSecond), formatRatio(cpuSpeedup)],
    ]),
  );
}
