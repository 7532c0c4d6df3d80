import { join } from "node:path";
import { followLog } from "./follow-log.ts";
import type { LogRecord } from "./log.ts";
import { runFiles } from "./run-folder.ts";

/** A text that a model made while it was trained. */
export interface LoggedSample {
  readonly step: number;
  readonly prompt: string;
  readonly text: string;
}

/** What PPO notes of a token of an answer. */
export interface TokenJudgement {
  readonly token: string;
  /** log π − log π_reference, in nats. */
  readonly kl: number;
  /** What the critic expected of the rest. */
  readonly value: number;
  readonly advantage: number;
}

/** A sample with whatever its stage noted of it. */
export interface JudgedSample extends LoggedSample {
  readonly score?: number;
  readonly reward?: number;
  readonly advantage?: number;
  readonly ended?: boolean;
  readonly tokens?: readonly TokenJudgement[];
}

/** Samples of one step that are shown, at most. */
const mostOfStep = 256;

/** The newest samples of a run, oldest first. */
export async function readSamples(path: string, count: number): Promise<LoggedSample[]> {
  let samples: LoggedSample[] = [];
  for await (const { records } of followLog(join(path, runFiles.samples))) {
    const more = records.flatMap(sampleOf).map(({ step, prompt, text }) => ({ step, prompt, text }));
    samples = [...samples, ...more].slice(-count);
  }
  return samples;
}

/** Steps that a run has samples of, in order, and how many. */
export async function readSampleSteps(path: string): Promise<{ step: number; count: number }[]> {
  const counts = new Map<number, number>();
  for await (const { records } of followLog(join(path, runFiles.samples))) {
    for (const { step } of records.flatMap(sampleOf)) counts.set(step, (counts.get(step) ?? 0) + 1);
  }
  return [...counts].map(([step, count]) => ({ step, count })).sort((a, b) => a.step - b.step);
}

/** The samples of one step, at most 256, with what their stage noted of them. What is of another form is left out. */
export async function readSamplesOf(path: string, step: number): Promise<JudgedSample[]> {
  const samples: JudgedSample[] = [];
  for await (const { records } of followLog(join(path, runFiles.samples))) {
    samples.push(...records.filter((record) => record.step === step).flatMap(sampleOf));
  }
  return samples.slice(0, mostOfStep);
}

function sampleOf({ step, prompt, text, ended, tokens, ...rest }: LogRecord): JudgedSample[] {
  if (typeof prompt !== "string" || typeof text !== "string") return [];
  const judged = Array.isArray(tokens) && tokens.length > 0 && tokens.every(isJudgement);
  return [
    {
      ...{ step, prompt, text },
      ...numbersOf(rest, ["score", "reward", "advantage"]),
      ...(typeof ended === "boolean" ? { ended } : {}),
      ...(judged ? { tokens } : {}),
    },
  ];
}

function numbersOf(record: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, number> {
  const entries = names.map((name) => [name, record[name]] as const);
  return Object.fromEntries(entries.filter((entry): entry is [string, number] => typeof entry[1] === "number"));
}

function isJudgement(value: unknown): value is TokenJudgement {
  if (typeof value !== "object" || value === null) return false;
  const { token, kl, value: expected, advantage } = value as Readonly<Record<string, unknown>>;
  return typeof token === "string" && [kl, expected, advantage].every((number) => typeof number === "number");
}
