import type { AskedModel } from "./asked-model.ts";
import type { Engine } from "./engine.ts";
import type { TextInput } from "./engine-messages.ts";
import type { Inspected, Question, Subject } from "./inspection.ts";
import type { Asked } from "./route.ts";

let lastId = 0;

/**
 * Vectors of texts, when it is this request's turn.
 *
 * @throws {ApiError} 429 when the queue is full, 500 when the engine is lost.
 */
export function readTexts(
  asked: Asked,
  opened: AskedModel,
  inputs: readonly TextInput[],
): Promise<readonly Float32Array[]> {
  const tokens = inputs.reduce((sum, { ids }) => sum + ids.length, 0);
  return inTurn(asked, opened, tokens, (engine, id) => engine.read(id, inputs));
}

/**
 * Answers to questions about a model, one after the other, when it is this request's turn.
 *
 * @param tokens - Of the texts that they are about.
 * @throws {ApiError} 429 when the queue is full, 500 when the engine is lost.
 */
export function inspect<About extends Subject>(
  asked: Asked,
  opened: AskedModel,
  tokens: number,
  questions: readonly (Question & { about: About })[],
): Promise<Inspected<About>[]> {
  return inTurn(asked, opened, tokens, async (engine, id, isWanted) => {
    const answers: Inspected<About>[] = [];
    for (const question of questions) {
      isWanted();
      answers.push(await engine.inspect(id, question));
    }
    return answers;
  });
}

/** Waits for a turn, asks the engine, and gives turn and model back. Who goes meanwhile is asked nothing more for. */
async function inTurn<Result>(
  { signal, owner }: Asked,
  { model, release }: AskedModel,
  tokens: number,
  ask: (engine: Engine, id: number, isWanted: () => void) => Promise<Result>,
): Promise<Result> {
  let takeBack = (): void => {};
  const stop = (): void => takeBack();
  signal.addEventListener("abort", stop, { once: true });
  try {
    await new Promise<void>((start, refuse) => {
      const leave = model.queue.enter([{ owner, sequences: 1, tokens, start, refuse }]);
      takeBack = () => {
        leave();
        refuse(signal.reason);
      };
    });
    const { engine } = model;
    try {
      lastId -= 1; // of generations, ids grow
      const id = lastId;
      if (engine === null) throw new Error("internal: a turn without an engine");
      const gone = new Promise<never>((_, fail) => {
        takeBack = () => {
          engine.cancel(id);
          fail(signal.reason);
        };
      });
      return await Promise.race([ask(engine, id, () => signal.throwIfAborted()), gone]);
    } finally {
      model.queue.leave(owner);
    }
  } finally {
    signal.removeEventListener("abort", stop);
    release();
  }
}
