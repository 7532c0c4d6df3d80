import type { AskedModel } from "./asked-model.ts";
import type { TextInput } from "./engine-messages.ts";
import type { Asked } from "./route.ts";

let lastId = 0;

/**
 * Vectors of texts, when it is this request's turn.
 *
 * @throws {ApiError} 429 when the queue is full, 500 when the engine is lost.
 */
export async function readTexts(
  { signal, owner }: Asked,
  { model, release }: AskedModel,
  inputs: readonly TextInput[],
): Promise<readonly Float32Array[]> {
  let takeBack = (): void => {};
  const stop = (): void => takeBack();
  signal.addEventListener("abort", stop, { once: true });
  try {
    await new Promise<void>((start, refuse) => {
      const tokens = inputs.reduce((sum, { ids }) => sum + ids.length, 0);
      const leave = model.queue.enter([{ owner, sequences: 1, tokens, start, refuse }]);
      takeBack = () => {
        leave();
        refuse(signal.reason);
      };
    });
    try {
      lastId -= 1; // of generations, ids grow
      const { engine } = model;
      if (engine === null) throw new Error("internal: a turn without an engine");
      return await engine.read(lastId, inputs);
    } finally {
      model.queue.leave(owner);
    }
  } finally {
    signal.removeEventListener("abort", stop);
    release();
  }
}
