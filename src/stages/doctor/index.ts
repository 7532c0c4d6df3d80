import { mkdtemp, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { availableThreads } from "../../backend/available-threads.ts";
import type { Check, CheckResult } from "./check.ts";
import { runChecks } from "./check.ts";
import { diskCheck } from "./disk-check.ts";
import { bfloat16Check, gradientCheck, kernelCheck } from "./kernel-checks.ts";
import { addonCheck, nodeCheck, speedCheck } from "./machine-checks.ts";
import { resumeCheck, threadCheck, trainingCheck } from "./training-checks.ts";

/** Every check, in the order in which one should read them. */
export const doctorChecks: readonly Check[] = [
  ...[nodeCheck, addonCheck, speedCheck, kernelCheck, bfloat16Check, gradientCheck],
  ...[trainingCheck, threadCheck, resumeCheck, diskCheck],
];

/** Where runs will be written, and with how many threads; 0 is as many as can run at once. */
export interface DoctorOptions {
  readonly output: string;
  readonly threads: number;
}

/**
 * Proves an installation on this machine: that it computes what the reference computes, whatever the number of threads,
 * and that runs are saved and resumed. Leaves nothing behind.
 */
export async function examine(
  { output, threads }: DoctorOptions,
  onResult?: (result: CheckResult) => void,
  checks: readonly Check[] = doctorChecks,
): Promise<CheckResult[]> {
  const folder = await mkdtemp(join(await nearestFolder(resolve(output)), ".stemma-doctor-"));
  try {
    return await runChecks(checks, { folder, threads: threads > 0 ? threads : availableThreads() }, onResult);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The folder itself or, where it does not exist yet, the one it will be made in. */
async function nearestFolder(path: string): Promise<string> {
  const found = await stat(path).catch(() => null);
  return found?.isDirectory() || path === dirname(path) ? path : nearestFolder(dirname(path));
}
