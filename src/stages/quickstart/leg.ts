import type { z } from "zod";
import { InterruptedError } from "../../core/errors.ts";
import type { StageResult, Watcher } from "../run-stage.ts";
import { runStage } from "../run-stage.ts";
import type { Stage } from "../stage.ts";

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
