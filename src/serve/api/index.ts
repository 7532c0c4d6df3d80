import type { Route } from "../route.ts";
import { jobLog, jobs, killJob, resumeJob, stages, startJob, stopJob } from "./jobs.ts";
import { runs } from "./runs.ts";

/** Routes of the browser app, in the order of their description; a file each resource. */
export const apiRoutes: readonly Route[] = [runs, stages, jobs, startJob, stopJob, killJob, resumeJob, jobLog];
