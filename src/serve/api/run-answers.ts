import { z } from "zod";

/** A model that a run began with or was judged by. */
const Origin = z.object({
  /** The setting that names it: `model`, `reward`, `reference`, `teacher`. */
  role: z.string(),
  /** The run that made it; null where it is none of these. */
  run: z.string().nullable(),
  /** What the setting says. */
  path: z.string(),
});

/** A run in the list of all. */
const RunEntry = z.object({
  /** Its folder's path inside the folder of runs; that one's own name where it is itself a run. */
  id: z.string(),
  command: z.string().nullable(),
  state: z.enum(["running", "finished", "stopped"]),
  startedAt: z.string().nullable(),
  step: z.number(),
  steps: z.number().nullable(),
  parameters: z.number().nullable(),
  /** Time of its training steps. */
  trainingSeconds: z.number(),
  /** What is left at the pace so far; null where nobody knows, or it does not run. */
  secondsLeft: z.number().nullable(),
  origins: z.array(Origin),
  /** The newest value of every metric. */
  metrics: z.record(z.string(), z.number()),
  troubles: z.array(z.string()),
});
export type RunEntry = z.output<typeof RunEntry>;

/** `GET /api/runs` */
export const RunList = z.object({ folder: z.string(), runs: z.array(RunEntry) });
export type RunList = z.output<typeof RunList>;

/** `GET /api/runs/{id}` */
export const RunDetail = z.object({
  run: RunEntry,
  /** The folder, as it was named. */
  path: z.string(),
  version: z.string().nullable(),
  settings: z.record(z.string(), z.unknown()),
  machine: z.record(z.string(), z.unknown()),
  checkpoints: z.array(z.object({ step: z.number(), path: z.string() })),
  /** The final model's folder. */
  model: z.string().nullable(),
  /** The name by which this server answers with its model or a checkpoint of it. */
  servedAs: z.string().nullable(),
  /** Steps that have samples, and how many. */
  sampleSteps: z.array(z.object({ step: z.number(), count: z.number() })),
});
export type RunDetail = z.output<typeof RunDetail>;

const numbers = z.array(z.number()).readonly();
const Columns = z.object({
  steps: numbers,
  means: numbers,
  counts: numbers.optional(),
  lows: numbers.optional(),
  highs: numbers.optional(),
});

/** `GET /api/runs/{id}/metrics`: metrics in buckets, and how far the log was read for them. */
export const RunMetrics = z.object({
  /** What a stream of events goes on from; "" before there is a log. */
  place: z.string(),
  width: z.number(),
  origin: z.number(),
  tokens: z.number(),
  seconds: z.number(),
  series: z.record(z.string(), Columns),
});
export type RunMetrics = z.output<typeof RunMetrics>;

/** A text that the model made, with what its stage noted of it. */
const RunSample = z.object({
  step: z.number(),
  prompt: z.string(),
  text: z.string(),
  score: z.number().optional(),
  reward: z.number().optional(),
  advantage: z.number().optional(),
  ended: z.boolean().optional(),
  tokens: z.array(z.object({ token: z.string(), kl: z.number(), value: z.number(), advantage: z.number() })).optional(),
});
export type RunSample = z.output<typeof RunSample>;

/** `GET /api/runs/{id}/samples` */
export const RunSamples = z.object({ step: z.number().nullable(), samples: z.array(RunSample) });
export type RunSamples = z.output<typeof RunSamples>;

/** What a stream of events says of the list: runs that changed or came, and ids of those that went. */
export interface RunChanges {
  readonly runs: readonly RunEntry[];
  readonly gone: readonly string[];
}

/** Lines that the log of a run got. */
export interface RunLines {
  readonly run: string;
  readonly lines: readonly Readonly<Record<string, number>>[];
}
