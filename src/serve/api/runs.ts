import { defineRoute, json } from "../route.ts";
import { RunList } from "./run-answers.ts";

/** `GET /api/runs` */
export const runs = defineRoute({
  method: "GET",
  path: "/api/runs",
  summary: "the runs in the folder of runs, with their last numbers",
  body: null,
  answer: { type: "json", schema: RunList },
  async handle({ service }) {
    return json({ folder: service.runs.folder, runs: await service.runs.list() } satisfies RunList);
  },
});
