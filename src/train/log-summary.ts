import { followLog } from "./follow-log.ts";
import type { LogRecord } from "./log.ts";
import type { Metrics } from "./run.ts";

/** What the metrics of a run come to. */
export interface LogSummary {
  /** Updates that the log knows of. */
  readonly step: number;
  /** The newest value of every metric. */
  readonly metrics: Metrics;
  /** Time that the steps took, all processes together, without evaluations and checkpoints. */
  readonly seconds: number;
  /** Lines that are no record. */
  readonly damagedLines: number;
}

/**
 * Reads a `metrics.jsonl` from its beginning to the end that it has now.
 *
 * @throws {FileError} when it cannot be read.
 */
export async function summariseLog(path: string): Promise<LogSummary> {
  const metrics: Metrics = {};
  const time = { tokens: 0, timedTokens: 0, seconds: 0 };
  let step = 0;
  let damaged = 0;
  for await (const { records, damagedLines } of followLog(path)) {
    damaged += damagedLines;
    for (const record of records) {
      const { step: own, ...values } = record;
      step = Math.max(step, own);
      Object.assign(metrics, numbersIn(values));
      addTime(record, time);
    }
  }
  // The first step of a process is not timed: it is taken to be as fast as the others.
  const seconds = time.timedTokens === 0 ? 0 : (time.seconds * time.tokens) / time.timedTokens;
  return { step, metrics, seconds, damagedLines: damaged };
}

function numbersIn(values: Readonly<Record<string, unknown>>): Metrics {
  return Object.fromEntries(Object.entries(values).filter((entry): entry is [string, number] => isNumber(entry[1])));
}

function addTime(
  { tokens, tokens_per_second: pace }: LogRecord,
  time: { tokens: number; timedTokens: number; seconds: number },
): void {
  if (!isNumber(tokens)) return;
  time.tokens += tokens;
  if (!isNumber(pace) || pace <= 0) return;
  time.timedTokens += tokens;
  time.seconds += tokens / pace;
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
