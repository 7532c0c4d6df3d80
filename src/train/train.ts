import { nullIfAborted } from "../core/event-loop.ts";
import { optimizerStep } from "./optimizer-step.ts";
import type { Outcome, Run } from "./run.ts";
import { SaveClock } from "./save-clock.ts";

/**
 * The training loop of every stage whose loss is a function of one batch. Starts at `firstStep`, the number of updates
 * made already; a signal ends it after saving, and a step under way is given up between two of its micro-batches.
 *
 * @throws {NumericalError} when a loss or gradient is not finite, before it reaches the weights.
 */
export async function train<Model, Batch>(
  run: Run<Model, Batch>,
  firstStep = 0,
  signal?: AbortSignal,
): Promise<Outcome> {
  const clock = new SaveClock(run.saveMinutes ?? 0);
  for (let step = firstStep; ; step++) {
    const last = step === run.steps; // one pass more than there are updates, to evaluate and save the final model
    const due = (every: number): boolean => last || (step > firstStep && every > 0 && step % every === 0);
    if (due(run.evaluateEvery)) run.log(step, await run.evaluate(step));
    const interrupted = !last && signal?.aborted === true;
    if (interrupted || due(run.saveEvery) || clock.isDue) {
      await run.save(step);
      clock.restart();
    }
    if (due(run.sampleEvery)) await run.sample(step); // after saving: whatever goes wrong with a sample, nothing is lost
    if (interrupted || last) return { step, interrupted };
    const metrics = await optimizerStep(run, step, signal).catch((error: unknown) => nullIfAborted(error, signal));
    if (metrics === null) {
      run.undo?.();
      await run.save(step);
      return { step, interrupted: true };
    }
    run.log(step + 1, metrics);
  }
}
