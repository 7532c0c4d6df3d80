import { z } from "zod";
import { ApiError } from "../api-error.ts";
import { queryNumber } from "../fields.ts";
import type { JobTable } from "../jobs/job-table.ts";
import { stageForm } from "../jobs/stage-form.ts";
import type { Asked } from "../route.ts";
import { defineGet, definePost, json } from "../route.ts";
import { Job, JobList, LogPart, StageList } from "./job-answers.ts";

/** `GET /api/stages` */
export const stages = defineGet({
  path: "/api/stages",
  summary: "stages that may be started as jobs, with the form of each, and what settings may name",
  answer: StageList,
  async handle(asked) {
    const jobs = jobsOf(asked);
    const forms = jobs.stages.map((stage) => ({ name: stage.name, summary: stage.summary, fields: stageForm(stage) }));
    const places = (await jobs.places()).map(({ name, kind }) => ({ name, kind }));
    return json({ folder: jobs.root, stages: forms, places } satisfies StageList);
  },
});

/** `GET /api/jobs` */
export const jobs = defineGet({
  path: "/api/jobs",
  summary: "jobs, the newest first",
  answer: JobList,
  handle: async (asked) => json({ jobs: await jobsOf(asked).list() } satisfies JobList),
});

/** `POST /api/jobs` */
export const startJob = definePost({
  path: "/api/jobs",
  summary: "start a stage as a process of its own; settings as they are typed on the command line",
  body: z.object({
    command: z.string(),
    settings: z.record(z.string(), z.union([z.string(), z.array(z.string()).max(256)])),
  }),
  answer: Job,
  async handle(asked) {
    const { command, settings } = asked.body;
    const job = await jobsOf(asked).start(command, settings);
    if (!("problems" in job)) return json(job);
    const [[first, message] = ["", "the settings are wrong"]] = job.problems;
    throw new ApiError(400, message, {
      param: `settings.${first}`,
      code: "invalid_settings",
      more: { fields: Object.fromEntries(job.problems) },
    });
  },
});

const OfRun = z.object({ run: z.string() });

/** `POST /api/jobs/stop` */
export const stopJob = definePost({
  path: "/api/jobs/stop",
  summary: "stop a job as soon as it has saved a checkpoint",
  body: OfRun,
  answer: Job,
  handle: async (asked) => json(await jobsOf(asked).end(asked.body.run, "stop")),
});

/** `POST /api/jobs/kill` */
export const killJob = definePost({
  path: "/api/jobs/kill",
  summary: "end a job at once; it can go on from its last checkpoint",
  body: OfRun,
  answer: Job,
  handle: async (asked) => json(await jobsOf(asked).end(asked.body.run, "kill")),
});

/** `POST /api/jobs/resume` */
export const resumeJob = definePost({
  path: "/api/jobs/resume",
  summary: "go on with a run from its newest checkpoint",
  body: OfRun,
  answer: Job,
  handle: async (asked) => json(await jobsOf(asked).resume(asked.body.run)),
});

/** `GET /api/jobs/log?run=…&from=…` */
export const jobLog = defineGet({
  path: "/api/jobs/log",
  summary: "what a job said since a byte of its log, at most the newest 64 KiB",
  answer: LogPart,
  async handle(asked) {
    const from = queryNumber(asked, "from", "a place in bytes");
    return json(await jobsOf(asked).log(asked.query("run") ?? "", from ?? 0));
  },
});

/** @throws {ApiError} 403 where nobody allowed jobs. */
function jobsOf({ service }: Asked): JobTable {
  if (service.jobs !== null) return service.jobs;
  throw new ApiError(403, "this server starts no jobs; start it with stemma serve --allow-jobs to allow them", {
    code: "jobs_not_allowed",
  });
}
