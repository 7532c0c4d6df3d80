import { join } from "node:path";
import type { MachineLimits } from "./machine-limits.ts";
import type { Cost } from "./peers/cost.ts";
import { PeerProcess } from "./peers/peer-process.ts";
import { formatNumber, formatRatio, formatShare, formatTable, median } from "./table.ts";
import type { Measured, Side } from "./turns.ts";
import { takeTurns } from "./turns.ts";

/** A 3×3 convolution of square pictures, padded by one on all sides. */
export interface ConvolutionShape {
  readonly batch: number;
  readonly channels: number;
  /** Height and width. */
  readonly size: number;
  readonly filters: number;
  readonly stride: number;
}

const convolutions: readonly ConvolutionShape[] = [
  { batch: 16, channels: 64, size: 32, filters: 64, stride: 1 },
  { batch: 16, channels: 128, size: 16, filters: 128, stride: 1 },
  { batch: 16, channels: 256, size: 8, filters: 256, stride: 1 },
  { batch: 16, channels: 64, size: 32, filters: 128, stride: 2 },
];

/** What to measure, and beside whom. */
export interface PicturesPlan {
  readonly threads: number;
  /** Turns of every side. */
  readonly rounds: number;
  /** A Python that has PyTorch, or null. */
  readonly python: string | null;
}

/** One program's convolution. */
export interface PicturesResult {
  readonly shape: ConvolutionShape;
  readonly program: string;
  readonly isOurs: boolean;
  /** Forwards. */
  readonly forward: Cost;
  /** Forwards and both gradients. */
  readonly step: Cost;
  /** Multiply-adds of a step, two operations each, over its seconds. */
  readonly operationsPerSecond: number;
  /** Share of the rate of our own matrix products of the same sizes; null for a peer. */
  readonly shareOfProducts: number | null;
  readonly shareOfPeak: number;
  /** A peer's step over ours, by wall and by processor time; null for ourselves. */
  readonly speedup: number | null;
  readonly cpuSpeedup: number | null;
}

interface Answer {
  readonly forward: Cost;
  readonly step: Cost;
  readonly products?: Cost;
  readonly version?: string;
}

/** Calls of a turn, of which the best counts. */
const calls = 5;

/** Times convolutions of Stemma and of PyTorch (oneDNN), which keeps channels first or last, in turn. */
export async function benchmarkPictures(
  plan: PicturesPlan,
  limits: MachineLimits,
  leftOut: (reason: string) => void,
): Promise<PicturesResult[]> {
  const results: PicturesResult[] = [];
  for (const shape of convolutions) {
    const measured = await takeTurns<Answer>(sidesOf(shape, plan), plan.rounds, leftOut, () =>
      limits.measurePeak("float32"),
    );
    const [ours] = measured;
    if (ours) results.push(...measured.map((one) => resultOf(one, ours, shape, limits)));
  }
  return results;
}

function sidesOf(shape: ConvolutionShape, { threads, python }: PicturesPlan): Side<Answer>[] {
  const peer = (layout: "first" | "last"): Side<Answer> => ({
    name: `PyTorch, channels ${layout}`,
    isOurs: false,
    process: new PeerProcess(python ?? "python3", [join(import.meta.dirname, "peers/pytorch/convolutions.py")]),
    command: () => ({ shape, layout, threads, calls }),
  });
  const ours: Side<Answer> = {
    name: "Stemma",
    isOurs: true,
    process: PeerProcess.script(join(import.meta.dirname, "pictures.ts")),
    command: () => ({ shape, threads, calls }),
  };
  return [ours, ...(python === null ? [] : [peer("first"), peer("last")])];
}

function resultOf(
  { side, answers }: Measured<Answer>,
  ours: Measured<Answer>,
  shape: ConvolutionShape,
  limits: MachineLimits,
): PicturesResult {
  const cost = (all: readonly Answer[], part: (answer: Answer) => Cost): Cost => ({
    seconds: median(all.map((answer) => part(answer).seconds)),
    cpuSeconds: median(all.map((answer) => part(answer).cpuSeconds)),
  });
  const [step, own] = [cost(answers, (answer) => answer.step), cost(ours.answers, (answer) => answer.step)];
  const products = cost(answers, (answer) => answer.products ?? answer.step);
  const operationsPerSecond = operationsOf(shape) / step.seconds;
  return {
    ...{ shape, isOurs: side.isOurs, step, operationsPerSecond, forward: cost(answers, (answer) => answer.forward) },
    program: [side.name, answers.at(-1)?.version ?? ""].join(" ").trim(),
    shareOfProducts: side.isOurs ? products.cpuSeconds / step.cpuSeconds : null,
    shareOfPeak: operationsPerSecond / limits.peak("float32"),
    speedup: side.isOurs ? null : step.seconds / own.seconds,
    cpuSpeedup: side.isOurs ? null : step.cpuSeconds / own.cpuSeconds,
  };
}

/** Of the convolution and both its gradients. */
function operationsOf({ batch, channels, size, filters, stride }: ConvolutionShape): number {
  return 3 * 2 * batch * (size / stride) ** 2 * filters * 9 * channels;
}

/** The results as a table. */
export function picturesTable(results: readonly PicturesResult[]): string[] {
  const headings = [
    "<x",
    "<filters",
    "<program",
    "forward ms",
    "all ms",
    "CPU ms",
    "GFLOP/s",
    "of peak",
    "of products",
  ];
  return formatTable(
    [...headings, "Stemma's speed", "by CPU time"],
    results.map(({ shape: { batch, channels, size, filters, stride }, ...row }) => [
      row.isOurs ? `[${batch}, ${size}, ${size}, ${channels}]` : "",
      row.isOurs ? `${filters}${stride > 1 ? `, stride ${stride}` : ""}` : "",
      row.program,
      ...[row.forward.seconds, row.step.seconds, row.step.cpuSeconds].map((seconds) => formatNumber(1000 * seconds)),
      ...[formatNumber(row.operationsPerSecond / 1e9), formatShare(row.shareOfPeak)],
      row.shareOfProducts === null ? "" : formatShare(row.shareOfProducts),
      ...[formatRatio(row.speedup), formatRatio(row.cpuSpeedup)],
    ]),
  );
}
