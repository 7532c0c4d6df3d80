import type { ModelContents } from "../checkpoint/model-folder.ts";
import type { Metrics, Outcome } from "../train/run.ts";
import { SaveClock } from "../train/save-clock.ts";
import type { AdapterKeeping } from "./adapter-run.ts";
import type { SaveSettings, StageState } from "./checkpoints.ts";
import { saveStage } from "./checkpoints.ts";
import type { StageEnvironment } from "./stage.ts";

/** A run whose model answers, then learns from its answers, again and again. */
export interface Iterations<Rolled> {
  readonly state: StageState;
  /** Null without. */
  readonly adapters: AdapterKeeping | null;
  /** Answers and what is thought of them; changes nothing, and throws the signal's reason when that is aborted. */
  rollOut(step: number, signal: AbortSignal): Promise<Rolled>;
  /** Why the run must end before it learns from these answers, and whether what it has come to is worth saving. */
  verdict(rolled: Rolled, step: number): { readonly error: Error; readonly isWorthSaving: boolean } | null;
  learn(step: number, rolled: Rolled): Promise<Metrics>;
  /** Tells whoever watches, after `step` iterations. */
  tell(step: number, metrics: Metrics, rolled: Rolled): void;
}

/** The whole run: roll out, learn, and save and tell in between. */
export async function iterate<Rolled>(
  run: Iterations<Rolled>,
  settings: SaveSettings & { readonly saveMinutes: number },
  environment: StageEnvironment,
  firstStep: number,
  signal: AbortSignal,
): Promise<Outcome> {
  const { steps, saveEvery, saveMinutes } = settings;
  const model = (): ModelContents => run.adapters?.contents(run.state.model()) ?? run.state.model();
  const save = async (step: number): Promise<void> => {
    if (step === steps) await run.adapters?.save();
    await saveStage(step, { ...run.state, model }, settings, environment);
  };
  const clock = new SaveClock(saveMinutes);
  for (let step = firstStep; ; step++) {
    const isOver = step === steps || signal.aborted;
    if (isOver || (step > firstStep && isDue(saveEvery, step)) || clock.isDue) {
      await save(step);
      clock.restart();
    }
    if (isOver) return { step, interrupted: step < steps };

    const rolled = await run.rollOut(step, signal).catch((error: unknown) => nullIfAborted(error, signal));
    if (rolled === null) {
      await save(step); // rolling out has changed nothing
      return { step, interrupted: true };
    }
    const verdict = run.verdict(rolled, step);
    if (verdict !== null) {
      if (verdict.isWorthSaving) await save(step);
      throw verdict.error;
    }
    run.tell(step + 1, await run.learn(step, rolled), rolled);
  }
}

/** Whether something that is done every so many steps, 0 for only at the end, is due after `step` of them. */
export function isDue(every: number, step: number): boolean {
  return every > 0 && step % every === 0;
}

/** @throws {unknown} whatever is not the reason of the signal. */
function nullIfAborted(error: unknown, signal: AbortSignal): null {
  if (signal.aborted && error === signal.reason) return null;
  throw error;
}
