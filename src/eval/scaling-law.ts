import { DataError } from "../core/errors.ts";
import { mean } from "../core/mean.ts";
import { dot, minimize, plus } from "./minimize.ts";

/** What one training run cost and reached. */
export interface MeasuredRun {
  /** Weights of the model, N. */
  readonly parameters: number;
  /** Tokens it was trained on, D. */
  readonly tokens: number;
  /** Held-out loss in nats, L. */
  readonly loss: number;
}

/** L(N, D) = E + A / N^α + B / D^β: equation 2 of Hoffmann et al. */
export interface ScalingLaw {
  readonly E: number;
  readonly A: number;
  readonly B: number;
  readonly alpha: number;
  readonly beta: number;
}

/** Where a residual of the logarithm turns from squared to absolute: that of the paper. */
const delta = 1e-3;

/** Exponents from which the search starts, each with each. */
const exponents = [0.05, 0.15, 0.3, 0.45, 0.6, 0.8, 1.1, 1.5];

/** How many of the best starts are followed to their minimum. */
const followed = 6;

/**
 * The law that runs follow: the minimum of Σ Huber_δ(log L − log(E + A / N^α + B / D^β)) with δ = 10⁻³ ("approach 3"). It
 * is a sum, not a mean, under which optimizers stop too early (Besiroglu et al.). For each pair of exponents E, A and B ≥ 0
 * of the smallest squared relative error have a closed form; from the best of these the search starts.
 *
 * Few runs do not pin the exponents: what it predicts within the range of the runs is worth more than they are.
 *
 * @throws {DataError} for fewer than six runs, all of one size or all on as many tokens, and numbers that are not positive.
 * @see Hoffmann et al. (2022), "Training compute-optimal large language models", arXiv:2203.15556; Besiroglu et al. (2024),
 *   "Chinchilla scaling: a replication attempt", arXiv:2404.10102.
 */
export function fitScalingLaw(runs: readonly MeasuredRun[]): ScalingLaw {
  checkRuns(runs);
  // Exponents turn about the middle of the runs: about N = 1 they and A, B would be tied together.
  const middleN = mean(runs.map(({ parameters }) => Math.log(parameters)));
  const middleD = mean(runs.map(({ tokens }) => Math.log(tokens)));
  const middleL = mean(runs.map(({ loss }) => Math.log(loss)));
  const points = runs.map(({ parameters, tokens, loss }) => ({
    n: Math.log(parameters) - middleN,
    d: Math.log(tokens) - middleD,
    l: Math.log(loss) - middleL,
  }));
  const starts = exponents
    .flatMap((alpha) => exponents.map((beta) => startAt(points, alpha, beta)))
    .sort((one, other) => objective(points, one).value - objective(points, other).value)
    .slice(0, followed);
  const found = starts.map((start) => minimize((at) => objective(points, at), start));
  const [a, b, e, alpha, beta] = found.reduce((best, next) => (next.value < best.value ? next : best)).at as Place;
  const [E, A, B] = [e, a + alpha * middleN, b + beta * middleD].map((log) => Math.exp(log + middleL)) as [
    number,
    number,
    number,
  ];
  return { E, A, B, alpha, beta };
}

/** The loss in nats that the law gives a model of so many weights after so many tokens. */
export function predictLoss(law: ScalingLaw, parameters: number, tokens: number): number {
  return law.E + law.A / parameters ** law.alpha + law.B / tokens ** law.beta;
}

/**
 * Weights and tokens of the smallest loss for C = 6 N D operations: N = G (C/6)^(β/(α+β)), G = (αA / βB)^(1/(α+β)), and
 * D = C / 6N. Equation 4 of Hoffmann et al.
 */
export function computeOptimal(law: ScalingLaw, operations: number): { parameters: number; tokens: number } {
  const { A, B, alpha, beta } = law;
  const G = ((alpha * A) / (beta * B)) ** (1 / (alpha + beta));
  const parameters = G * (operations / 6) ** (beta / (alpha + beta));
  return { parameters, tokens: operations / (6 * parameters) };
}

function checkRuns(runs: readonly MeasuredRun[]): void {
  if (runs.length < 6) {
    throw new DataError(`scaling law: ${runs.length} runs are too few for its five numbers; give at least 6`);
  }
  for (const [index, run] of runs.entries()) {
    for (const key of ["parameters", "tokens", "loss"] as const) {
      if (run[key] > 0 && Number.isFinite(run[key])) continue;
      throw new DataError(`scaling law: ${key} of run ${index + 1} is ${run[key]}; give a number above 0`);
    }
  }
  for (const key of ["parameters", "tokens"] as const) {
    if (new Set(runs.map((run) => run[key])).size > 1) continue;
    throw new DataError(`scaling law: all runs have ${runs[0]?.[key]} ${key}; give runs that differ in them`);
  }
}

/** log N, log D and log L, each about its mean. */
interface Point {
  readonly n: number;
  readonly d: number;
  readonly l: number;
}

/** [log A, log B, log E, α, β]. */
type Place = readonly [number, number, number, number, number];

/** The sum of Huber losses over δ² and its gradient. */
function objective(points: readonly Point[], at: readonly number[]): { value: number; gradient: number[] } {
  const [a, b, e, alpha, beta] = at as Place;
  let gradient = [0, 0, 0, 0, 0];
  let value = 0;
  for (const { n, d, l } of points) {
    const [one, two, three] = [a - alpha * n, b - beta * d, e];
    const top = Math.max(one, two, three);
    const [byA, byB, byE] = [Math.exp(one - top), Math.exp(two - top), Math.exp(three - top)];
    const sum = byA + byB + byE;
    const residual = (top + Math.log(sum) - l) / delta;
    const size = Math.abs(residual);
    value += size <= 1 ? (residual * residual) / 2 : size - 0.5;
    const slope = Math.max(-1, Math.min(1, residual)) / delta;
    gradient = plus(gradient, slope / sum, [byA, byB, byE, -n * byA, -d * byB]);
  }
  return { value, gradient };
}

/** Which of A, B and E are free; the others are 0. */
const supports: readonly (readonly (0 | 1 | 2)[])[] = [[0, 1, 2], [0, 1], [0, 2], [1, 2], [0], [1], [2]];

/** A row of what A, B and E are multiplied with. */
type Row = readonly [number, number, number];

/** The place of two exponents where E, A and B ≥ 0 have the smallest squared relative error. */
function startAt(points: readonly Point[], alpha: number, beta: number): Place {
  const rows = points.map(({ n, d, l }): Row => [Math.exp(-alpha * n - l), Math.exp(-beta * d - l), Math.exp(-l)]);
  const candidates = supports.map((free) => leastSquares(rows, free)).filter((row) => row.every((x) => x >= 0));
  const errorOf = (weights: Row): number => rows.reduce((sum, row) => sum + (dot(row, weights) - 1) ** 2, 0);
  const weights = candidates.reduce((best, next) => (errorOf(next) < errorOf(best) ? next : best));
  const floor = 1e-6 * Math.max(...weights);
  const [a, b, e] = weights.map((weight) => Math.log(Math.max(weight, floor))) as [number, number, number];
  return [a, b, e, alpha, beta];
}

/** Weights of the free columns for which rows · weights is closest to 1, by the normal equations; others are 0. */
function leastSquares(rows: readonly Row[], free: readonly (0 | 1 | 2)[]): Row {
  const column = (i: 0 | 1 | 2): number[] => rows.map((row) => row[i]);
  let system = free.map((i) => [
    ...free.map((j) => dot(column(i), column(j))),
    dot(
      column(i),
      rows.map(() => 1),
    ),
  ]);
  for (const k of free.keys()) {
    const pivot = system[k] ?? [];
    system = system.map((row, i) => (i === k ? row : plus(row, -(row[k] ?? 0) / (pivot[k] ?? 0), pivot)));
  }
  const weights: [number, number, number] = [0, 0, 0];
  for (const [k, i] of free.entries()) weights[i] = (system[k]?.at(-1) ?? 0) / (system[k]?.[k] ?? 0);
  return weights;
}
