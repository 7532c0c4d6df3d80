/** Where and with what the checks are made. */
export interface DoctorEnvironment {
  /** An empty folder on the file system that runs will be written to. */
  readonly folder: string;
  /** Threads that compute. */
  readonly threads: number;
}

/** One thing that must be right for Stemma to be right on this machine. */
export interface Check {
  /** A few words, for the start of a line. */
  readonly name: string;
  /** What was found, in a few words. Throws, with a message for the user, when something is wrong. */
  run(environment: DoctorEnvironment): Promise<string | Skipped>;
}

/** A check that says nothing here, and why. */
export class Skipped {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** How a check ended. */
export interface CheckResult {
  readonly name: string;
  readonly status: "ok" | "failed" | "skipped";
  /** What was found, what is wrong, or why it was skipped. */
  readonly detail: string;
  readonly seconds: number;
}

/** Makes checks one after another; one that fails does not keep the others from running. */
export async function runChecks(
  checks: readonly Check[],
  environment: DoctorEnvironment,
  onResult: (result: CheckResult) => void = () => {},
): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const check of checks) {
    const start = performance.now();
    const ending = await endingOf(check, environment);
    const result = { name: check.name, ...ending, seconds: (performance.now() - start) / 1000 };
    results.push(result);
    onResult(result);
  }
  return results;
}

async function endingOf(check: Check, environment: DoctorEnvironment): Promise<Pick<CheckResult, "status" | "detail">> {
  try {
    const found = await check.run(environment);
    return found instanceof Skipped ? { status: "skipped", detail: found.reason } : { status: "ok", detail: found };
  } catch (error) {
    return { status: "failed", detail: error instanceof Error ? error.message : String(error) };
  }
}
