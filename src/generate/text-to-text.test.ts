import { describe, expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { SettingsError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { t5 } from "../models/encoder-decoders/t5.ts";
import { Initializer } from "../nn/parameters.ts";
import { Tensor } from "../tensor/tensor.ts";
import { SamplingSettings } from "./sampling.ts";
import { searchTexts, writeTexts } from "./text-to-text.ts";

const backend = openReference();
const shape = { vocabularySize: 7, context: 8, width: 8, layers: 1, heads: 2, dropout: 0 };
/** Large enough weights that texts differ, and end. */
const large = { ...t5.shaped(shape).config, initializer_factor: 1.5 };
const model = t5.create(t5.readConfig(large), new Initializer(backend, new Random(1)));
const texts = [
  [2, 3, 4, 5],
  [6, 2],
  [3, 3, 3],
];
const greedy = SamplingSettings.parse({ temperature: 0 });

/** log-probabilities of what follows `written`, without a cache. */
async function following(text: readonly number[], written: readonly number[]): Promise<number[]> {
  const encoded = model.encode(Tensor.from(backend, Int32Array.from(text), [1, text.length]), null);
  const ids = Tensor.from(backend, Int32Array.from([0, ...written]), [1, written.length + 1]);
  const all = await model.logits(model.decode(ids, encoded)).logSoftmax().read();
  return [...all.slice(-7)];
}

describe("writing", () => {
  test("takes the likeliest token each time, until the end, each text as if alone", async () => {
    const written = await writeTexts(model, texts, { sampling: greedy, maxNewTokens: 6, seed: 1 });
    for (const [i, { tokens, ended }] of written.entries()) {
      const path = [...tokens, ...(ended ? [1] : [])];
      for (const [step, token] of path.entries()) {
        const next = await following(texts[i] ?? [], path.slice(0, step));
        expect(next.indexOf(Math.max(...next))).toBe(token);
      }
      expect(ended || tokens.length === 6).toBe(true);
    }
  });

  test("sampled texts follow the seed and not their neighbours", async () => {
    const sampling = SamplingSettings.parse({ temperature: 2 });
    const all = await writeTexts(model, texts, { sampling, maxNewTokens: 6, seed: 5 });
    const alone = await writeTexts(model, texts.slice(0, 1), { sampling, maxNewTokens: 6, seed: 5 });
    expect(alone[0]).toEqual(all[0]);
    const again = await Promise.all(
      [5, 6].map((seed) => writeTexts(model, texts, { sampling, maxNewTokens: 6, seed })),
    );
    expect(again[0]).toEqual(all);
    expect(again[1]).not.toEqual(all);
  });
});

describe("beam search", () => {
  test("with as many beams as there are beginnings finds the likeliest of all texts, ended or as long as they may be", async () => {
    const options = { beams: 36, lengthPenalty: 1, maxNewTokens: 3 };
    const found = await searchTexts(model, texts, options);
    for (const [i, { tokens, score }] of found.entries()) {
      const best = await likeliestEnding(texts[i] ?? [], 3);
      expect([...tokens]).toEqual(best.tokens);
      expect(score).toBeCloseTo(best.score, 4);
    }
  });

  test("with one beam is the greedy text where that ends", async () => {
    const pairs = Array.from({ length: 25 }, (_, i) => [2 + (i % 5), 2 + Math.floor(i / 5)]);
    const written = await writeTexts(model, pairs, { sampling: greedy, maxNewTokens: 12, seed: 1 });
    const found = await searchTexts(model, pairs, { beams: 1, lengthPenalty: 0, maxNewTokens: 12 });
    const both = written.map((text, i) => [text, found[i]] as const).filter(([text]) => text.ended);
    expect(both.length).toBeGreaterThan(0);
    for (const [text, other] of both) expect(other?.tokens).toEqual(text.tokens);
  });

  test("more beams never find a less likely text on this model", async () => {
    const scores = await Promise.all(
      [2, 36].map((beams) => searchTexts(model, texts, { beams, lengthPenalty: 1, maxNewTokens: 3 })),
    );
    scores[0]?.forEach((text, i) => {
      if (text.ended) expect(text.score).toBeLessThanOrEqual((scores[1]?.[i]?.score ?? Number.NaN) + 1e-6);
    });
  });

  /** Tries every text of up to `length` tokens, its end among them. */
  async function likeliestEnding(
    text: readonly number[],
    length: number,
    start: readonly number[] = [],
    sum = 0,
  ): Promise<{ tokens: readonly number[]; score: number }> {
    const next = await following(text, start);
    let best = { tokens: start, score: (sum + (next[1] ?? 0)) / (start.length + 1) };
    for (const [token, logProbability] of next.entries()) {
      if (token === 1) continue;
      const tokens = [...start, token];
      const whole = { tokens, score: (sum + logProbability) / length };
      const longer =
        tokens.length === length ? whole : await likeliestEnding(text, length, tokens, sum + logProbability);
      if (longer.score > best.score) best = longer;
    }
    return best;
  }
});

test("texts that cannot be read are refused", async () => {
  const write = (text: readonly number[]) =>
    writeTexts(model, [[2], text], { sampling: greedy, maxNewTokens: 2, seed: 1 });
  await expect(write([])).rejects.toThrow(new SettingsError("generate: text 2 is empty; give one to read"));
  await expect(write([2, 2, 2, 2, 2, 2, 2, 2, 2])).rejects.toThrow("text 2 has 9 tokens, the model is meant for 8");
  await expect(write([7])).rejects.toThrow("token 7 of text 2 is outside the model's vocabulary of 7");
});

test.each([
  [{}, "writeTexts: maxNewTokens is missing; it must be a number; also seed is missing; it must be a number"],
  [{ maxNewTokens: 0, seed: 1 }, "writeTexts: maxNewTokens must be more than 0, got 0"],
  [{ maxNewTokens: 1, seed: 1, beams: 4 }, "writeTexts: has no setting beams"],
  [
    { maxNewTokens: 1, seed: 1, sampling: { temprature: 1 } },
    "sampling: has no setting temprature; did you mean temperature?",
  ],
  [{ maxNewTokens: 1, seed: 1, signal: 3 }, "writeTexts: signal: must be an AbortSignal"],
])("options of writing %j are checked", async (options, message) => {
  const asked = writeTexts(model, [[2]], options as unknown as Parameters<typeof writeTexts>[2]);
  await expect(asked).rejects.toThrow(message);
});

test.each([
  [{ maxNewTokens: 1, beams: 2 }, "searchTexts: lengthPenalty is missing; it must be a number"],
  [{ maxNewTokens: 1, beams: 1.5, lengthPenalty: 1 }, "searchTexts: beams must be an integer, got 1.5"],
  [{ maxNewTokens: 1, beams: 1e9, lengthPenalty: 1 }, "searchTexts: beams must be at most 64, got 1000000000"],
  [{ maxNewTokens: 1, beams: 2, lengthPenalty: 1e308 }, "searchTexts: lengthPenalty must be at most 100, got 1e+308"],
  [{ maxNewTokens: 1, beams: 2, lengthPenalty: 1, seed: 1 }, "searchTexts: has no setting seed"],
])("options of a search %j are checked", async (options, message) => {
  const asked = searchTexts(model, [[2]], options as unknown as Parameters<typeof searchTexts>[2]);
  await expect(asked).rejects.toThrow(message);
});
