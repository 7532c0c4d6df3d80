import { z } from "zod";

/** A run in the list of all. */
export const RunEntry = z.object({
  /** Its folder's path inside the folder of runs; `.` where that is itself a run. */
  id: z.string(),
  command: z.string().nullable(),
  state: z.enum(["running", "finished", "stopped"]),
  startedAt: z.string().nullable(),
  step: z.number(),
  steps: z.number().nullable(),
  parameters: z.number().nullable(),
  trainingSeconds: z.number(),
  /** The newest value of every metric. */
  metrics: z.record(z.string(), z.number()),
  troubles: z.array(z.string()),
});
export type RunEntry = z.output<typeof RunEntry>;

/** `GET /api/runs` */
export const RunList = z.object({ folder: z.string(), runs: z.array(RunEntry) });
export type RunList = z.output<typeof RunList>;
