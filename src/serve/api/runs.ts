import { resolve, sep } from "node:path";
import { readSampleSteps, readSamplesOf } from "../../train/run-samples.ts";
import { wrongField } from "../api-error.ts";
import { queryNumber } from "../fields.ts";
import { defineGet, json } from "../route.ts";
import { placeText } from "../run-events.ts";
import { RunDetail, RunList, RunMetrics, RunSamples } from "./run-answers.ts";

/** `GET /api/runs` */
export const runs = defineGet({
  path: "/api/runs",
  summary: "the runs in the folder of runs, with their last numbers",
  answer: RunList,
  async handle({ service: { runs: table } }) {
    const all = await table.all();
    return json({ folder: table.folder, runs: all.map((run) => table.entryOf(run)) } satisfies RunList);
  },
});

/** `GET /api/runs/{id}` */
export const run = defineGet({
  path: "/api/runs/:id",
  summary: "one run: settings, machine, checkpoints, which steps have samples",
  answer: RunDetail,
  async handle({ service: { runs: table, models }, parameter }) {
    const known = await table.get(parameter("id"));
    const { path, report } = known;
    const { version, settings, machine, model } = report;
    return json({
      ...{ run: table.entryOf(known), path, version, settings, machine, model },
      checkpoints: report.checkpoints.map((checkpoint) => ({ step: checkpoint.step, path: checkpoint.path })),
      servedAs: models.all().find(({ found }) => isInside(found.path, path))?.name ?? null,
      sampleSteps: await readSampleSteps(path),
    } satisfies RunDetail);
  },
});

/** `GET /api/runs/{id}/metrics` */
export const runMetrics = defineGet({
  path: "/api/runs/:id/metrics",
  summary: "metrics of a run in at most 2048 buckets of its steps, or of the steps from `from` to `to`, exactly",
  answer: RunMetrics,
  async handle(asked) {
    const { runs: table } = asked.service;
    const log = table.logOf(await table.get(asked.parameter("id")));
    const [from, to] = [queryNumber(asked, "from", "a step"), queryNumber(asked, "to", "a step")];
    const names = asked.query("metrics")?.split(",");
    await log.update();
    if (from === null && to === null) {
      return json({ place: placeText(log.place), ...log.buckets.state(names) } satisfies RunMetrics);
    }
    const [first, last] = [from ?? 0, to ?? log.summary.step];
    if (last < first) throw wrongField("to", `to must be at least from, ${first}, got ${last}`);
    const buckets = await log.range(first, last);
    return json({ place: placeText(log.place), ...buckets.state(names) } satisfies RunMetrics);
  },
});

/** `GET /api/runs/{id}/samples` */
export const runSamples = defineGet({
  path: "/api/runs/:id/samples",
  summary: "texts that the model of a run made after the step `step`, the newest ones without it",
  answer: RunSamples,
  async handle(asked) {
    const { path } = await asked.service.runs.get(asked.parameter("id"));
    const asking = queryNumber(asked, "step", "a step");
    const step = asking ?? (await readSampleSteps(path)).at(-1)?.step ?? null;
    const samples = step === null ? [] : await readSamplesOf(path, step);
    return json({ step, samples: RunSamples.shape.samples.parse(samples) } satisfies RunSamples);
  },
});

function isInside(path: string, folder: string): boolean {
  return resolve(path).startsWith(resolve(folder) + sep);
}
