import type { ModelContents } from "../checkpoint/model-folder.ts";
import { nullIfAborted } from "../core/event-loop.ts";
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
  /** Changes weights from the first update on; throws the signal's reason when that is aborted in between. */
  learn(step: number, rolled: Rolled, signal?: AbortSignal): Promise<Metrics>;
  /** Tells whoever watches, after `step` iterations. */
  tell(step: number, metrics: Metrics, rolled: Rolled): void;
}

/**
 * The whole run: roll out, learn, and save and tell in between. A signal ends it at once where the newest checkpoint has
 * all iterations that are done. Where it has not, the one under way is finished and saved, because its updates cannot be
 * taken back; one that takes longer than `saveMinutes` is always followed by a checkpoint.
 *
 * @throws {unknown} the reason of `signal` when that is aborted in the first iteration of a run that has no checkpoint.
 */
export async function iterate<Rolled>(
  run: Iterations<Rolled>,
  settings: IterationSaving,
  environment: StageEnvironment,
  firstStep: number,
  signal: AbortSignal,
): Promise<Outcome> {
  const saves = new IterationSaves(run, settings, environment, firstStep);
  for (let step = firstStep; ; step++) {
    const isOver = step === settings.steps || signal.aborted;
    if (isOver || saves.isDue(step)) await saves.save(step);
    if (isOver) return { step, interrupted: step < settings.steps };
    if (await isStoppedIn(step, run, saves, signal)) return { step, interrupted: true };
  }
}

/** One iteration; whether the signal stopped it, with everything saved up to it. */
async function isStoppedIn<Rolled>(
  step: number,
  run: Iterations<Rolled>,
  saves: IterationSaves,
  signal: AbortSignal,
): Promise<boolean> {
  const rolled = await run.rollOut(step, signal).catch((error: unknown) => nullIfAborted(error, signal));
  if (rolled === null) {
    await saves.save(step); // rolling out has changed nothing
    return true;
  }
  const verdict = run.verdict(rolled, step);
  if (verdict !== null) {
    if (verdict.isWorthSaving) await saves.save(step);
    throw verdict.error;
  }
  const learning = run.learn(step, rolled, saves.hasAllBefore(step) ? signal : undefined);
  const metrics = await (saves.hasAny ? learning.catch((error: unknown) => nullIfAborted(error, signal)) : learning);
  if (metrics === null) return true;
  run.tell(step + 1, metrics, rolled);
  return false;
}

type IterationSaving = SaveSettings & { readonly saveMinutes: number };

/** Saves iterations when it is time, and knows which of them are saved. */
class IterationSaves {
  readonly #clock: SaveClock;
  readonly #save: (step: number) => Promise<void>;
  readonly #firstStep: number;
  readonly #saveEvery: number;
  /** Iterations that the newest checkpoint has; null without one. */
  #saved: number | null;

  constructor(
    { state, adapters }: Pick<Iterations<unknown>, "state" | "adapters">,
    settings: IterationSaving,
    environment: StageEnvironment,
    firstStep: number,
  ) {
    const model = (): ModelContents => adapters?.contents(state.model()) ?? state.model();
    this.#save = async (step) => {
      if (step === settings.steps) await adapters?.save();
      await saveStage(step, { ...state, model }, settings, environment);
    };
    this.#clock = new SaveClock(settings.saveMinutes);
    this.#firstStep = firstStep;
    this.#saveEvery = settings.saveEvery;
    this.#saved = environment.folder.checkpoint ? firstStep : null;
  }

  isDue(step: number): boolean {
    return (step > this.#firstStep && isDue(this.#saveEvery, step)) || this.#clock.isDue;
  }

  async save(step: number): Promise<void> {
    await this.#save(step);
    this.#saved = step;
    this.#clock.restart();
  }

  /** Whether nothing but iteration `step` is lost when the run ends in it. */
  hasAllBefore(step: number): boolean {
    return step === (this.#saved ?? this.#firstStep);
  }

  get hasAny(): boolean {
    return this.#saved !== null;
  }
}

/** Whether something that is done every so many steps, 0 for only at the end, is due after `step` of them. */
export function isDue(every: number, step: number): boolean {
  return every > 0 && step % every === 0;
}
