import { describe, expect, test } from "vitest";
import type { NativeBackend } from "../../src/backend/native/index.ts";
import { openNative } from "../../src/backend/native/index.ts";
import { Random } from "../../src/core/random.ts";
import { Decoder } from "../../src/generate/decoder.ts";
import type { ModelFamily } from "../../src/models/family.ts";
import { families } from "../../src/models/index.ts";
import type { CacheType } from "../../src/nn/key-value-cache.ts";
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
  cacheType?: CacheType,
): Promise<{ logits: Float32Array[]; repeated: number }> {
  const { backend, repeated } = open(canRepeat);
  const model = family.create(family.shaped(shape), new Initializer(backend, new Random(1)));
  const decoder = new Decoder(model, 3, shape.context, cacheType);
  const logits: Float32Array[] = [];
  const feed = async (tokens: readonly (readonly number[])[]): Promise<void> => {
    const parts = tokens.flatMap((own, slot) => (own.length > 0 ? [{ slot, tokens: own }] : []));
    logits.push(...(await decoder.feed(parts)));
  };
  await feed([[1, 2, 3, 4, 5], [6], [7, 8, 9]]);
  for (let step = 0; step < 30; step++) await feed([[step], [step + 1], step === 9 ? [] : [2 * step]]);
  decoder.truncate(1, 3);
  for (let step = 0; step < 45; step++) await feed([[], [step], [step + 7]]);
  decoder.release();
  return { logits, repeated: repeated() };
}

/** Which experts a token goes to decides what is computed, and an LSTM begins each pass with what the last one left. */
const neverAlike: readonly string[] = ["mixtral", "qwen3-moe", "lstm"];

describe.each(Object.entries<ModelFamily>(families))("%s", (name, family) => {
  test("a token decoded by repeating the pass before has the same logits, bit by bit", async () => {
    const [expected, found] = [await logitsOf(family, false), await logitsOf(family, true)];
    if (neverAlike.includes(name)) expect(found.repeated).toBe(0);
    else expect(found.repeated).toBeGreaterThanOrEqual(70);
    expect(found.logits.length).toBe(expected.logits.length);
    for (const [i, row] of found.logits.entries()) expect(row).toEqual(expected.logits[i]);
  });
});

test.each(["gpt2", "gemma3"] as const)(
  "%s: keys and values of bfloat16 change what follows, and by little",
  async (name) => {
    const family: ModelFamily = families[name];
    const [exact, rounded, repeated] = [
      await logitsOf(family, true),
      await logitsOf(family, false, "bfloat16"),
      await logitsOf(family, true, "bfloat16"),
    ];
    const differences = exact.logits.flatMap((row, i) => Array.from(row, (logit, j) => logit - rounded.logits[i]![j]!));
    const rms = (values: readonly number[]): number =>
      Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
    const share = rms(differences) / rms(exact.logits.flatMap((row) => [...row]));
    expect(share).toBeGreaterThan(1e-6);
    expect(share).toBeLessThan(4e-3); // a number is rounded by 2⁻⁸ of itself at most
    for (const [i, row] of repeated.logits.entries()) expect(row).toEqual(rounded.logits[i]);
  },
);

test("the state of an LSTM is not rounded", () => {
  const { backend } = open(false);
  const model = families.lstm.create(families.lstm.shaped(shape), new Initializer(backend, new Random(1)));
  expect(() => model.newCache(1, 8, "bfloat16")).toThrow("its state decides all that follows");
});
