import { join } from "node:path";
import type { EvaluationCommand } from "./evaluation.ts";
import { PeerProcess } from "./peers/peer-process.ts";
import { formatNumber, formatRatio, formatTable, median } from "./table.ts";
import type { Side } from "./turns.ts";
import { takeTurns } from "./turns.ts";

/** Questions of a task answered in one way. */
export interface EvaluationResult {
  readonly task: string;
  readonly shots: number;
  readonly way: string;
  readonly questionsPerSecond: number;
  /** Our time of the first way, that of `stemma eval`, over this one's; null for itself. */
  readonly speedup: number | null;
}

interface Answer {
  readonly seconds: number;
  readonly logProbs: readonly number[];
}

/** As `stemma eval` does it, and without what makes it fast. */
const ways = {
  "context read once, questions side by side": { sharePrefix: true, batchTokens: 8192 },
  "each choice with its context, side by side": { sharePrefix: false, batchTokens: 8192 },
  "each choice with its context, one at a time": { sharePrefix: false, batchTokens: 1 },
} as const;

/** Tasks of few and of many choices, without and with examples before each question. */
const asked = [
  { task: "next-verse", shots: 0 },
  { task: "next-verse", shots: 4 },
  { task: "wordnet-topic", shots: 0 },
  { task: "wordnet-topic", shots: 4 },
] as const;

const questions = 40;

/**
 * Asks a GPT-2 of shape M with random weights multiple-choice questions of tasks that come with the package.
 *
 * @throws {Error} when two ways find other probabilities.
 */
export async function benchmarkEvaluation(threads: number, rounds: number): Promise<EvaluationResult[]> {
  const results: EvaluationResult[] = [];
  for (const question of asked) {
    const process = PeerProcess.script(join(import.meta.dirname, "evaluation.ts"));
    const sides = Object.entries(ways).map(([name, way]): Side<Answer> => {
      const command: EvaluationCommand = { ...question, ...way, questions, threads };
      return { name, isOurs: true, process, command: () => command };
    });
    const measured = await takeTurns(sides, rounds, () => {});
    const secondsOf = (answers: readonly Answer[]): number => median(answers.map(({ seconds }) => seconds));
    const [first] = measured;
    for (const { side, answers } of measured) {
      checkAgreement(first?.answers[0], answers[0]);
      const speedup = side === first?.side ? null : secondsOf(answers) / secondsOf(first?.answers ?? []);
      results.push({ ...question, way: side.name, questionsPerSecond: questions / secondsOf(answers), speedup });
    }
  }
  return results;
}

function checkAgreement(a: Answer | undefined, b: Answer | undefined): void {
  const gap = a?.logProbs.map((value, i) => Math.abs(value - (b?.logProbs[i] ?? Number.NaN)) / (1 + Math.abs(value)));
  if (!gap?.every((share) => share < 1e-3)) throw new Error("two ways of asking find other probabilities");
}

/** The results as a table. */
export function evaluationTable(results: readonly EvaluationResult[]): string[] {
  return formatTable(
    ["<task", "shots", "<way", "questions/s", "first way's speed"],
    results.map(({ task, shots, way, questionsPerSecond, speedup }) => [
      ...(speedup === null ? [task, String(shots)] : ["", ""]),
      ...[way, formatNumber(questionsPerSecond), formatRatio(speedup)],
    ]),
  );
}
