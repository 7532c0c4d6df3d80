import { describe, expect, test } from "vitest";
import { SettingsError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { corruptedWindows, corruptionSize, corruptSpans } from "./span-corruption.ts";
import { memoryTokens } from "./token-file.ts";

const END = 1;
const tokens = { sentinels: Array.from({ length: 30 }, (_, i) => 9999 - i), endOfText: END };
const settings = { density: 0.15, meanSpan: 3 };
const counting = Int32Array.from({ length: 2000 }, (_, i) => 10 + i);

/** The text that an input and its target come from. */
function restored(input: Int32Array, target: Int32Array): number[] {
  const stretches = new Map<number, number[]>();
  let current: number[] = [];
  for (const id of target.subarray(0, -1)) {
    if (tokens.sentinels.includes(id)) {
      current = [];
      stretches.set(id, current);
    } else current.push(id);
  }
  return [...input.subarray(0, -1)].flatMap((id) => stretches.get(id) ?? [id]);
}

describe("taking stretches out", () => {
  test.each([2, 3, 7, 20, 114, 500])("of %i tokens loses nothing", (length) => {
    const ids = counting.subarray(0, length);
    const { noise, spans } = corruptionSize(length, settings);
    for (let seed = 0; seed < 20; seed++) {
      const { input, target } = corruptSpans(ids, new Random(seed).reader(), tokens, settings);
      expect(restored(input, target)).toEqual([...ids]);
      expect([input.length, target.length]).toEqual([length - noise + spans + 1, noise + spans + 1]);
      expect([input.at(-1), target.at(-1)]).toEqual([END, END]);
      expect(input[0]).toBe(ids[0]);
      expect([...input].filter((id) => id > 9000)).toEqual(tokens.sentinels.slice(0, spans));
      expect([...target].filter((id) => id > 9000)).toEqual(tokens.sentinels.slice(0, spans));
    }
  });

  test("takes the share that was asked for, in stretches of the mean length", () => {
    expect(corruptionSize(500, settings)).toEqual({ noise: 75, spans: 25 });
    expect(corruptionSize(100, { density: 0.5, meanSpan: 10 })).toEqual({ noise: 50, spans: 5 });
    expect(corruptionSize(2, settings)).toEqual({ noise: 1, spans: 1 });
    expect(corruptionSize(10, { density: 0.9, meanSpan: 1 })).toEqual({ noise: 9, spans: 1 });
  });

  test("every place is as likely as the others", () => {
    const counts = new Array<number>(10).fill(0);
    for (let seed = 0; seed < 2000; seed++) {
      const { target } = corruptSpans(counting.subarray(0, 10), new Random(seed).reader(), tokens, {
        ...{ density: 0.2, meanSpan: 1 },
      });
      for (const id of target) if (id >= 10 && id < 20) counts[id - 10]!++;
    }
    expect(counts[0]).toBe(0);
    // 2 of 10 tokens in 2 stretches; the first is one of 8 equally likely kept lengths, the last token always goes.
    expect(counts[9]).toBe(2000);
    for (const count of counts.slice(1, 8)) expect(Math.abs(count - 2000 / 7)).toBeLessThan(70);
  });
});

describe("windows", () => {
  const of = { sources: [{ file: memoryTokens(counting), weight: 1 }], context: 64, seed: 5, tokens, ...settings };

  test("inputs fill the context, targets are of one length, nothing is padded", () => {
    const { batchAt, targetTime } = corruptedWindows(of);
    const [pairs] = batchAt(0, { batchSize: 4 });
    expect(pairs).toMatchObject({ batch: 4, time: 64, targetTime });
    expect([...pairs!.lengths]).toEqual([64, 64, 64, 64]);
    for (let row = 0; row < 4; row++) {
      const input = pairs!.inputs.subarray(row * 64, (row + 1) * 64);
      const text = restored(input, pairs!.targets.subarray(row * targetTime, (row + 1) * targetTime));
      expect(text.every((id, i) => i === 0 || id === text[i - 1]! + 1)).toBe(true);
    }
  });

  test("are a function of the step, whatever the micro-batches and ranks", () => {
    const whole = corruptedWindows(of).batchAt(5, { batchSize: 8 })[0]!;
    const parts = [0, 1].flatMap((rank) =>
      corruptedWindows(of).batchAt(5, { batchSize: 8, microBatches: 2, rank, ranks: 2 }),
    );
    expect(parts.flatMap((part) => [...part.inputs])).toEqual([...whole.inputs]);
    expect(parts.flatMap((part) => [...part.targets])).toEqual([...whole.targets]);
    expect(corruptedWindows(of).batchAt(6, { batchSize: 8 })[0]!.inputs).not.toEqual(whole.inputs);
  });

  test("what cannot be done is refused", () => {
    expect(() => corruptedWindows({ ...of, context: 2 })).toThrow(SettingsError);
    const few = { ...tokens, sentinels: tokens.sentinels.slice(0, 2) };
    expect(() => corruptedWindows({ ...of, tokens: few })).toThrow(
      /loses \d+ stretches, the tokenizer has 2 sentinels/,
    );
  });
});
