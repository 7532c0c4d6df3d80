import type { z } from "zod";
import { InterruptedError } from "../../core/errors.ts";
import type { StageResult, Watcher } from "../run-stage.ts";
import { runStage } from "../run-stage.ts";
import type { Stage } from "../stage.ts";

/**
 * Does what lies between the stages of a road: judging, comparing.
 *
 * @param doing - What messages call it: `answers are compared`.
 * @throws {InterruptedError} when the signal stopped it: nothing of it is kept, and it is done again.
 */
export async function runBetween<Result>(
  doing: string,
  signal: AbortSignal | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    signal?.throwIfAborted();
    return await work();
  } catch (error) {
    if (signal?.aborted !== true) throw error;
    throw new InterruptedError(`quickstart: stopped while ${doing}, all stages before are saved; go on with it`, {
      cause: error,
    });
  }
}

/**
 * Runs one stage of a road of several.
 *
 * @throws {InterruptedError} when its signal stopped it, because the next stage would need its result.
 */
export async function runLeg<Settings extends z.ZodObject>(
  stage: Stage<Settings>,
  settings: z.output<Settings>,
  watcher: Watcher = {},
): Promise<StageResult> {
  const result = await runStage(stage, settings, watcher);
  if (!result.interrupted) return result;
  throw new InterruptedError(`${stage.name}: stopped after step ${result.step} and saved; go on with it`);
}
