import { join } from "node:path";
import type { Precision } from "./machine-limits.ts";
import { PeerProcess } from "./peers/peer-process.ts";
import { formatNumber, formatRatio, formatTable, median } from "./table.ts";
import type { Measured, Side } from "./turns.ts";
import { takeTurns } from "./turns.ts";

/** A Llama with adapters of all its linear layers, and how its frozen base lies in memory. */
export interface AdaptedShape {
  readonly layers: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly width: number;
  readonly hidden: number;
  readonly vocabulary: number;
  readonly context: number;
  readonly batch: number;
  readonly loraRank: number;
  readonly loraAlpha: number;
  readonly weights: "float32" | "bfloat16" | "q8_0";
  readonly recompute: boolean;
}

/** The shape of SmolLM2-135M, and a batch of 4 × 256 tokens. */
const adapted: Omit<AdaptedShape, "weights" | "recompute"> = {
  ...{ layers: 30, heads: 9, keyValueHeads: 3, width: 576, hidden: 1536, vocabulary: 49_152 },
  ...{ context: 256, batch: 4, loraRank: 8, loraAlpha: 16 },
};

/** What to measure, and beside whom. */
export interface AdaptersPlan {
  readonly precision: Precision;
  readonly threads: number;
  /** Turns of every side. */
  readonly rounds: number;
  /** A Python that has PEFT, or null. */
  readonly python: string | null;
}

/** One program's training step. */
export interface AdaptersResult {
  readonly precision: Precision;
  readonly program: string;
  readonly secondsPerStep: number;
  readonly tokensPerSecond: number;
  /** Most memory the process ever held, and most that our tensors took in a step; null for a peer. */
  readonly peakBytes: number;
  readonly tensorBytes: number | null;
  /** The first side's step time and memory over this one's; null for itself. */
  readonly speedup: number | null;
  readonly memoryShare: number | null;
}

interface Answer {
  readonly secondsPerStep: readonly number[];
  readonly peakBytes: number;
  readonly tensorBytes?: number;
  readonly torch?: string;
}

/** Times training steps of adapters on frozen bases, of Stemma and of PyTorch with PEFT, in turn. */
export async function benchmarkAdapters(
  plan: AdaptersPlan,
  leftOut: (reason: string) => void,
): Promise<AdaptersResult[]> {
  const measured = await takeTurns<Answer>(sidesOf(plan), plan.rounds, leftOut);
  const [first] = measured;
  return first ? measured.map((one) => resultOf(one, first, plan.precision)) : [];
}

function sidesOf({ precision, threads, python }: AdaptersPlan): Side<Answer>[] {
  const own = join(import.meta.dirname, "adapters.ts");
  const side = (name: string, more: Pick<AdaptedShape, "weights" | "recompute">, isOurs = true): Side<Answer> => {
    const peer = join(import.meta.dirname, "peers/pytorch/adapters.py");
    const process = isOurs ? PeerProcess.script(own) : new PeerProcess(python ?? "python3", [peer]);
    return { name, isOurs, process, command: () => ({ shape: { ...adapted, ...more }, precision, threads, steps: 1 }) };
  };
  const plain = { weights: precision, recompute: false };
  const blocks = precision === "float32";
  return [
    side(`Stemma, base in ${precision}`, plain),
    ...(blocks ? [side("Stemma, base in q8_0", { weights: "q8_0", recompute: false })] : []),
    ...(blocks ? [side("Stemma, base in q8_0, recomputing", { weights: "q8_0", recompute: true })] : []),
    ...(python === null ? [] : [side("PyTorch with PEFT", plain, false)]),
  ];
}

function resultOf({ side, answers }: Measured<Answer>, first: Measured<Answer>, precision: Precision): AdaptersResult {
  const secondsOf = (all: Measured<Answer>): number => median(all.answers.flatMap((one) => one.secondsPerStep));
  const memoryOf = (all: Measured<Answer>): number => Math.max(...all.answers.map(({ peakBytes }) => peakBytes));
  const [last] = answers.slice(-1);
  const isFirst = side === first.side;
  const [own, reference] = [memoryOf({ side, answers }), memoryOf(first)];
  const seconds = secondsOf({ side, answers });
  return {
    precision,
    program: `${side.name} ${(last?.torch ?? "").replace(/[a+].*$/, "")}`.trim(),
    secondsPerStep: seconds,
    tokensPerSecond: (adapted.batch * adapted.context) / seconds,
    peakBytes: own,
    tensorBytes: last?.tensorBytes ?? null,
    speedup: isFirst ? null : seconds / secondsOf(first),
    memoryShare: isFirst ? null : reference / own,
  };
}

/** The results of one precision as a table. */
export function adaptersTable(results: readonly AdaptersResult[]): string[] {
  const headings = ["<products in", "<program", "step ms", "tokens/s", "memory MB", "of it tensors"];
  return formatTable(
    [...headings, "first line's speed", "first line's memory"],
    results.map((row, i) => [
      ...[i === 0 ? row.precision : "", row.program],
      ...[formatNumber(1000 * row.secondsPerStep), formatNumber(row.tokensPerSecond)],
      formatNumber(row.peakBytes / 1e6),
      row.tensorBytes === null ? "" : formatNumber(row.tensorBytes / 1e6),
      ...[formatRatio(row.speedup), formatRatio(row.memoryShare)],
    ]),
  );
}
