import { describe, expect, test } from "vitest";
import { DataError, SettingsError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import type { MaskedBatch, MaskingTokens } from "./masked-words.ts";
import { maskedWindows, maskWords } from "./masked-words.ts";
import { memoryTokens } from "./token-file.ts";
import { ignoredTarget } from "./windows.ts";

const [CLS, SEP, MASK, PAD, END, FIRST] = [1, 2, 3, 0, 4, 5];

/** Ordinary ids are 5 … 1004; odd ones go on with the word before them. */
const tokens: MaskingTokens = {
  ...{ classification: CLS, separator: SEP, mask: MASK, padding: PAD, endOfText: END },
  ...{ special: new Set([CLS, SEP, MASK, PAD, END]), vocabularySize: FIRST + 1000 },
  isContinuation: (id) => id % 2 === 1,
};

/** 5, 6, 7, …: each token names its place in the text. */
const counting = Int32Array.from({ length: 1000 }, (_, i) => FIRST + i);

describe("hiding words", () => {
  const ids = Int32Array.from([CLS, ...counting, SEP]);

  test("one token in seven is chosen: 80 % masked, 10 % replaced, 10 % kept, special ones never", () => {
    const lots: string[] = [];
    for (let seed = 0; seed < 20; seed++) {
      const { inputs, targets } = maskWords(ids, new Random(seed).reader(), tokens, { rate: 0.15, wholeWords: false });
      expect(original({ inputs, targets, time: ids.length }, 0)).toEqual(ids);
      expect([targets[0], targets.at(-1)]).toEqual([ignoredTarget, ignoredTarget]);
      const chosen = [...targets.keys()].filter((i) => targets[i] !== ignoredTarget);
      expect(chosen.length).toBe(150);
      lots.push(...chosen.map((i) => fate(inputs[i]!, ids[i]!)));
    }
    // 3000 lots: four standard deviations are 0.029 of the whole for 0.8, 0.022 for 0.1.
    const share = (kind: string): number => lots.filter((lot) => lot === kind).length / 3000;
    expect(Math.abs(share("masked") - 0.8)).toBeLessThan(0.029);
    expect(Math.abs(share("replaced") - 0.1)).toBeLessThan(0.022);
    expect(Math.abs(share("kept") - 0.1)).toBeLessThan(0.022);
  });

  test("whole words are chosen with all their pieces", () => {
    const even = ids.map((id) => (id >= FIRST ? FIRST + 1 + (id % 3) : id)); // 6, 7, 8: 7 goes on with 6
    const { targets } = maskWords(even, new Random(1).reader(), tokens, { rate: 0.3, wholeWords: true });
    const chosen = [...targets.keys()].filter((i) => targets[i] !== ignoredTarget);
    expect(chosen.length).toBeGreaterThan(280);
    for (const at of chosen) {
      if (even[at]! % 2 === 1) expect(chosen).toContain(at - 1);
      if (even[at + 1]! % 2 === 1 && even[at + 1]! >= FIRST) expect(chosen).toContain(at + 1);
    }
  });

  test("a short text has one word to name", () => {
    const { targets } = maskWords(Int32Array.of(CLS, 8, 10, SEP), new Random(3).reader(), tokens, {
      rate: 0.15,
      wholeWords: false,
    });
    expect(targets.filter((target) => target !== ignoredTarget).length).toBe(1);
  });
});

describe("windows", () => {
  const file = memoryTokens(counting);
  const settings = {
    ...{ sources: [{ file, weight: 1 }], context: 23, seed: 7, tokens, pairs: true },
    ...{ rate: 0.15, wholeWords: false },
  };

  test.each([
    ["many places", 1000],
    ["three places, which come again and again", 64],
  ])("[CLS] A [SEP] B [SEP]; B follows A where the label says so, and does not elsewhere: %s", (_, length) => {
    const sources = [{ file: memoryTokens(counting.subarray(0, length)), weight: 1 }];
    const { batchAt } = maskedWindows({ ...settings, sources, rate: 1e-9 });
    const labels = pairsIn(batchAt(0, { batchSize: 200 })[0]!).map(({ a, b, label }) => {
      const steps = [...a, ...b].map((id, i, all) => id - (all[i - 1] ?? id - 1));
      expect(steps.filter((step) => step !== 1).length).toBe(label);
      return label;
    });
    expect(Math.abs(labels.filter((label) => label === 0).length / 200 - 0.5)).toBeLessThan(0.15);
  });

  test("where every place says the same, no pair is called a wrong one", () => {
    const same = memoryTokens(counting.map(() => FIRST));
    const { batchAt } = maskedWindows({ ...settings, sources: [{ file: same, weight: 1 }] });
    expect(pairsIn(batchAt(0, { batchSize: 50 })[0]!).every(({ label }) => label === 0)).toBe(true);
  });

  test("segments stay within one document, and are padded", () => {
    const documents = counting.map((id, i) => (i % 11 === 10 ? END : id));
    const { batchAt } = maskedWindows({ ...settings, sources: [{ file: memoryTokens(documents), weight: 1 }] });
    const [batch] = batchAt(3, { batchSize: 50 });
    for (let row = 0; row < 50; row++) {
      const ids = original(batch!, row);
      expect(ids).not.toContain(END);
      expect([...ids.subarray(batch!.lengths[row])].every((id) => id === PAD)).toBe(true);
    }
    expect(Math.min(...batch!.lengths)).toBeLessThan(23);
  });

  test("are a function of the step, whatever the micro-batches and ranks", () => {
    const { batchAt } = maskedWindows(settings);
    const whole = batchAt(5, { batchSize: 8 })[0]!;
    const parts = [0, 1].flatMap((rank) =>
      maskedWindows(settings).batchAt(5, { batchSize: 8, microBatches: 2, rank, ranks: 2 }),
    );
    for (const key of ["inputs", "targets", "segments", "lengths", "relationships"] as const) {
      expect(parts.flatMap((part) => [...part[key]!])).toEqual([...whole[key]!]);
    }
    expect(batchAt(6, { batchSize: 8 })[0]!.inputs).not.toEqual(whole.inputs);
  });

  test("without pairs a window is one segment", () => {
    const [batch] = maskedWindows({ ...settings, pairs: false }).batchAt(0, { batchSize: 2 });
    expect(batch!.relationships).toBeNull();
    expect([...batch!.lengths]).toEqual([23, 23]);
    expect(batch!.segments.every((segment) => segment === 0)).toBe(true);
  });

  test("text that no pair can be taken from is refused", () => {
    const few = memoryTokens(counting.subarray(0, 25));
    expect(() => maskedWindows({ ...settings, sources: [{ file: few, weight: 1 }] })).toThrow(DataError);
    const single = memoryTokens(counting.map((id, i) => (i % 2 === 1 ? END : id)));
    const { batchAt } = maskedWindows({ ...settings, sources: [{ file: single, weight: 1 }] });
    expect(() => batchAt(0, { batchSize: 1 })).toThrow("documents of one token only");
    expect(() => maskedWindows({ ...settings, context: 4 })).toThrow(SettingsError);
  });
});

/** The two segments of each row, and its label. */
function pairsIn(batch: MaskedBatch): { a: Int32Array; b: Int32Array; label: number }[] {
  return Array.from({ length: batch.batch }, (_, row) => {
    const length = batch.lengths[row]!;
    const ids = original(batch, row).subarray(0, length);
    const border = batch.segments.subarray(row * batch.time, row * batch.time + length).indexOf(1);
    expect([ids[0], ids[border - 1], ids[length - 1]]).toEqual([CLS, SEP, SEP]);
    const label = batch.relationships![row]!;
    return { a: ids.subarray(1, border - 1), b: ids.subarray(border, length - 1), label };
  });
}

/** A row as it was before words were hidden. */
function original(batch: { inputs: Int32Array; targets: Int32Array; time: number }, row: number): Int32Array {
  const { inputs, targets, time } = batch;
  return inputs
    .map((id, i) => (targets[i] === ignoredTarget ? id : targets[i]!))
    .subarray(row * time, (row + 1) * time);
}

function fate(input: number, token: number): string {
  if (input === MASK) return "masked";
  return input === token ? "kept" : "replaced";
}
