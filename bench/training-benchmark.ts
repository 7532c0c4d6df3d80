import { join } from "node:path";
import type { MachineLimits, Precision } from "./machine-limits.ts";
import { PeerProcess } from "./peers/peer-process.ts";
import type { ShapeName, TrainingShape } from "./shapes.ts";
import { shapes, stepFlops, stepTokens } from "./shapes.ts";
import { formatNumber, formatRatio, formatShare, formatTable, median } from "./table.ts";
import type { Measured, Side } from "./turns.ts";
import { takeTurns } from "./turns.ts";

/** What to train, and beside whom. */
export interface TrainingPlan {
  readonly shape: ShapeName;
  readonly precision: Precision;
  readonly threads: number;
  /** Turns of every side. */
  readonly rounds: number;
  /** A Python that has PyTorch, or null. */
  readonly python: string | null;
}

/** One program's training step. */
export interface TrainingResult {
  readonly shape: ShapeName;
  readonly precision: Precision;
  readonly program: string;
  readonly isOurs: boolean;
  /** Median over all timed steps, and the fastest. */
  readonly secondsPerStep: number;
  readonly fastestSeconds: number;
  readonly stepsTimed: number;
  readonly tokensPerSecond: number;
  readonly operationsPerSecond: number;
  /** Share of the multiply-adds that the machine does from registers in this precision. */
  readonly shareOfPeak: number;
  /** Most memory the process ever held. */
  readonly peakBytes: number;
  /** A peer's step time over ours, and our memory over a peer's; null for ourselves. */
  readonly speedup: number | null;
  readonly memoryShare: number | null;
}

interface Answer {
  readonly secondsPerStep: readonly number[];
  readonly peakBytes: number;
  readonly torch?: string;
  readonly blas?: string | null;
  readonly version?: string;
}

/** How long a turn should be: long beside the clock's ticks, and short enough to share the machine's moods. */
const turnSeconds = 1;

/** Times training steps of one shape in one precision, of Stemma and of every peer there is, in turn. */
export async function benchmarkTraining(
  plan: TrainingPlan,
  limits: MachineLimits,
  leftOut: (reason: string) => void,
): Promise<TrainingResult[]> {
  const peaks: number[] = [];
  const measurePeak = (): void => {
    peaks.push(limits.measurePeak(plan.precision));
  };
  const measured = await takeTurns<Answer>(sidesOf(plan), plan.rounds, leftOut, measurePeak);
  const ours = measured.find(({ side }) => side.isOurs);
  return measured.map((one) => resultOf(one, ours ?? one, plan, median(peaks)));
}

function sidesOf({ shape: name, precision, threads, python }: TrainingPlan): Side<Answer>[] {
  const shape: TrainingShape = shapes[name];
  const sides: Side<Answer>[] = [];
  const add = (program: string, process: PeerProcess, trained = shape): void => {
    const command = (last: Answer | null): object => ({ shape: trained, precision, threads, steps: nextSteps(last) });
    sides.push({ name: program, isOurs: sides.length === 0, process, command });
  };
  const own = join(import.meta.dirname, "training.ts");
  add("Stemma", PeerProcess.script(own));
  if (shape.model === "mixtral") {
    add("Stemma, dense", PeerProcess.script(own), { ...shape, model: "llama", hidden: 2 * shape.hidden });
    return sides;
  }
  const program = join(import.meta.dirname, `peers/pytorch/${shape.model}.py`);
  const torch = (...flags: readonly string[]): void => {
    if (python !== null) add("PyTorch", new PeerProcess(python, [program, ...flags]));
  };
  torch();
  // OpenBLAS multiplies float32 only.
  const isBlasChosen = precision === "float32" && process.env.OPENBLAS_CORETYPE !== undefined;
  if (isBlasChosen) torch("--keep-environment");
  const isForJax = name === "S" && precision === "float32";
  if (isForJax) add("jax-js", PeerProcess.script(join(import.meta.dirname, "peers/jax.ts")));
  return sides;
}

/** One step at first; then as many as fill a turn. */
function nextSteps(last: Answer | null): number {
  return last === null ? 1 : Math.ceil(turnSeconds / median(last.secondsPerStep));
}

function resultOf(
  { side, answers }: Measured<Answer>,
  ours: Measured<Answer>,
  { shape, precision }: TrainingPlan,
  peak: number,
): TrainingResult {
  const seconds = answers.flatMap(({ secondsPerStep }) => secondsPerStep);
  const secondsPerStep = median(seconds);
  const ourSeconds = median(ours.answers.flatMap((answer) => answer.secondsPerStep));
  const peakOf = (all: Measured<Answer>): number => Math.max(...all.answers.map(({ peakBytes }) => peakBytes));
  const operationsPerSecond = stepFlops(shapes[shape]) / secondsPerStep;
  return {
    ...{ shape, precision, program: programName(side.name, answers.at(-1)), isOurs: side.isOurs },
    ...{ secondsPerStep, fastestSeconds: Math.min(...seconds), stepsTimed: seconds.length },
    tokensPerSecond: stepTokens(shapes[shape]) / secondsPerStep,
    operationsPerSecond,
    shareOfPeak: operationsPerSecond / peak,
    peakBytes: peakOf({ side, answers }),
    speedup: side.isOurs ? null : secondsPerStep / ourSeconds,
    memoryShare: side.isOurs ? null : peakOf(ours) / peakOf({ side, answers }),
  };
}

/** The name with the version, and for PyTorch the processor whose kernels its matrix library uses. */
function programName(name: string, answer: Answer | undefined): string {
  const version = (answer?.torch ?? answer?.version ?? "").replace(/[a+].*$/, "");
  const blas = answer?.blas ? ` (OpenBLAS ${answer.blas})` : "";
  return `${name} ${version}`.trim() + blas;
}

/** The results of one shape as a table. */
export function trainingTable(results: readonly TrainingResult[]): string[] {
  const headings = ["<precision", "<program", "step ms", "tokens/s", "GFLOP/s", "of peak", "memory MB"];
  return formatTable(
    [...headings, "Stemma's speed", "Stemma's memory"],
    results.map((row) => [
      ...[row.isOurs ? row.precision : "", row.program],
      ...[formatNumber(1000 * row.secondsPerStep), formatNumber(row.tokensPerSecond)],
      ...[formatNumber(row.operationsPerSecond / 1e9), formatShare(row.shareOfPeak)],
      ...[formatNumber(row.peakBytes / 1e6), formatRatio(row.speedup), formatRatio(row.memoryShare)],
    ]),
  );
}
