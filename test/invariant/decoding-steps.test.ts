import { describe, expect, test } from "vitest";
import type { NativeBackend } from "../../src/backend/native/index.ts";
import { openNative } from "../../src/backend/native/index.ts";
import { Random } from "../../src/core/random.ts";
import { Decoder } from "../../src/generate/decoder.ts";
import type { ModelFamily } from "../../src/models/family.ts";
import { families } from "../../src/models/index.ts";
import { Initializer } from "../../src/nn/parameters.ts";

const shape = { vocabularySize: 97, context: 90, width: 32, layers: 3, heads: 4, dropout: 0 };

/** A backend, how many passes were made again on it, and whether it can do that. */
function open(canRepeat: boolean): { backend: NativeBackend; repeated: () => number } {
  const { backend } = openNative({ threads: 1 });
  if (!backend?.passes) throw new Error("the native backend is not built");
  const { passes, ...rest } = backend;
  if (!canRepeat) return { backend: rest, repeated: () => 0 };
  let count = 0;
  const capture: typeof passes.capture = (body) => {
    const pass = passes.capture(body);
    if (!pass) return null;
    return {
      ...pass,
      replay() {
        const isDone = pass.replay();
        if (isDone) count++;
        return isDone;
      },
    };
  };
  return { backend: { ...rest, passes: { ...passes, capture } }, repeated: () => count };
}

/** All logits of three sequences that are decoded side by side beyond the table's first 64 positions; one ends early. */
async function logitsOf(
  family: ModelFamily,
  canRepeat: boolean,
): Promise<{ logits: Float32Array[]; repeated: number }> {
  const { backend, repeated } = open(canRepeat);
  const model = family.create(family.shaped(shape), new Initializer(backend, new Random(1)));
  const decoder = new Decoder(model, 3, shape.context);
  const logits: Float32Array[] = [];
  const feed = async (tokens: readonly (readonly number[])[]): Promise<void> => {
    for (const row of await decoder.feed(tokens)) if (row) logits.push(row.slice());
  };
  for (let i = 0; i < 3; i++) decoder.open();
  await feed([[1, 2, 3, 4, 5], [6], [7, 8, 9]]);
  for (let step = 0; step < 30; step++) await feed([[step], [step + 1], step === 9 ? [] : [2 * step]]);
  decoder.close(0);
  for (let step = 0; step < 45; step++) await feed([[step], [step + 7]]);
  decoder.release();
  return { logits, repeated: repeated() };
}

/** Which experts a token goes to decides what is computed, and an LSTM begins each pass with what the last one left. */
const neverAlike: readonly string[] = ["mixtral", "qwen3-moe", "lstm"];

describe.each(Object.entries<ModelFamily>(families))("%s", (name, family) => {
  test("a token decoded by repeating the pass before has the same logits, bit by bit", async () => {
    const [expected, found] = [await logitsOf(family, false), await logitsOf(family, true)];
    expect(found.repeated).toBeGreaterThanOrEqual(neverAlike.includes(name) ? 0 : 70);
    expect(found.logits.length).toBe(expected.logits.length);
    for (const [i, row] of found.logits.entries()) expect(row).toEqual(expected.logits[i]);
  });
});
