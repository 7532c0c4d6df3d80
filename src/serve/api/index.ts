import type { Route } from "../route.ts";
import { rankingAgreement } from "./agreement.ts";
import { attention } from "./attention.ts";
import { events } from "./events.ts";
import { addConversation, addSample, feedback } from "./feedback.ts";
import { jobLog, jobs, killJob, resumeJob, stages, startJob, stopJob } from "./jobs.ts";
import { lens } from "./lens.ts";
import { parameter, parameters } from "./parameters.ts";
import { nextRanking, rankingTasks, saveRanking, undoRanking } from "./rankings.ts";
import { rewards } from "./rewards.ts";
import { run, runMetrics, runSamples, runs } from "./runs.ts";
import { cancel, server } from "./server.ts";
import { words } from "./words.ts";

/** Routes of the browser app, in the order of their description; a file each resource. */
export const apiRoutes: readonly Route[] = [
  ...[runs, run, runMetrics, runSamples, events],
  ...[stages, jobs, startJob, stopJob, killJob, resumeJob, jobLog],
  ...[feedback, addSample, addConversation],
  ...[rankingTasks, nextRanking, saveRanking, undoRanking, rankingAgreement],
  ...[server, cancel],
  ...[parameters, parameter, lens, attention, words, rewards],
];
