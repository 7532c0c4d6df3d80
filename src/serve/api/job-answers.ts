import { z } from "zod";

/** What a setting that is a path may be the path of. */
export const PlaceKind = z.enum(["model", "adapter", "file"]);
export type PlaceKind = z.output<typeof PlaceKind>;

/** One setting of a stage, to ask for in a form. */
export const FormField = z.object({
  /** Key of the schema. */
  key: z.string(),
  /** Of the command line, without dashes. */
  flag: z.string(),
  group: z.string(),
  description: z.string(),
  isRequired: z.boolean(),
  isList: z.boolean(),
  /** `run`: the name of a new run. `model`, `adapter`, `file`: what the server lists, or a word that stands for something. */
  takes: z.enum(["run", ...PlaceKind.options, "switch", "choice", "number", "text"]),
  /** Whether a word may stand where a path may: the name of a family for a new model. */
  takesWords: z.boolean(),
  /** Values that it chooses among. */
  choices: z.array(z.string()),
  /** What it is where it is left out, as it would be typed; null where nothing says. */
  default: z.string().nullable(),
  /** Whether most people want to see it. */
  isCommon: z.boolean(),
});
export type FormField = z.output<typeof FormField>;

/** `GET /api/stages` */
export const StageList = z.object({
  /** Where new runs get their folders. */
  folder: z.string(),
  stages: z.array(z.object({ name: z.string(), summary: z.string(), fields: z.array(FormField) })),
  /** Models and files that settings may name. */
  places: z.array(z.object({ name: z.string(), kind: PlaceKind })),
});
export type StageList = z.output<typeof StageList>;

/** A job as it is now. */
export const Job = z.object({
  /** Path of its folder inside the folder of runs. */
  run: z.string(),
  /** The stage. */
  command: z.string(),
  commandLine: z.string(),
  /** As they were typed, an entry of a list each. */
  settings: z.record(z.string(), z.array(z.string())),
  /** `failed`: its process ended by itself with an error. `stopped`: it can go on. */
  state: z.enum(["running", "stopping", "finished", "stopped", "failed"]),
  canResume: z.boolean(),
  startedAt: z.string(),
  endedAt: z.string().nullable(),
  /** The last that it said. */
  lastLine: z.string(),
});
export type Job = z.output<typeof Job>;

/** `GET /api/jobs` */
export const JobList = z.object({ jobs: z.array(Job) });
export type JobList = z.output<typeof JobList>;

/** `GET /api/jobs/log`: a part of what a job said. */
export const LogPart = z.object({
  text: z.string(),
  /** Byte that it begins at: more than what was asked for where the beginning was left out, less where the log is a new one. */
  from: z.number(),
  /** Byte to ask for next. */
  next: z.number(),
});
export type LogPart = z.output<typeof LogPart>;
