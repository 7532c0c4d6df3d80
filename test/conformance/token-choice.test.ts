import { expect, test } from "vitest";
import { nativeInstructionSets, openNative } from "../../src/backend/native/index.ts";
import { chooseToken } from "../../src/backend/reference/token-choice.ts";
import type { TokenChoice } from "../../src/backend/token-choice.ts";
import { Random } from "../../src/core/random.ts";
import { Tensor } from "../../src/tensor/tensor.ts";

const reader = new Random(7).reader();
const oneOf = <Item>(...items: readonly Item[]): Item => items[reader.integer(items.length)] as Item;
const someIds = (width: number): Int32Array =>
  Int32Array.from(new Set(Array.from({ length: reader.integer(6) }, () => reader.integer(width))));

function amounts(width: number): TokenChoice["bias"] {
  const ids = someIds(width);
  return { ids, amounts: Float64Array.from(ids, () => 20 * (reader.uniform() - 0.5)) };
}

/** Any settings, each of them off half of the time. */
function anyChoice(width: number): TokenChoice {
  return {
    temperature: oneOf(0, 0.3, 1, 1, 1.7, 30),
    topK: oneOf(0, 0, 1, 2, 40, 1000),
    topP: oneOf(1, 1, 0.999, 0.95, 0.5, 0.01),
    minP: oneOf(0, 0, 0.01, 0.3),
    repetitionPenalty: oneOf(1, 1.3),
    seen: someIds(width),
    bias: amounts(width),
    lowered: amounts(width),
    allowed: oneOf(
      null,
      Int32Array.from({ length: Math.ceil(width / 32) }, () => reader.word() | 1),
    ),
    uniform: reader.uniform(),
    given: oneOf(null, null, null, reader.integer(width)),
    alternatives: oneOf(null, 0, 1, 5, 20),
  };
}

/** Logits of a row: like those of models, with few values, flat, or with impossible ones. */
function anyLogits(width: number, seed: number): Float32Array {
  const random = new Random(seed);
  const spread = oneOf(0, 0.1, 2, 8, 60);
  const rounds = oneOf(false, true);
  const values = random.normal(width, spread);
  return values.map((value, i) => (i % 97 === 3 ? Number.NEGATIVE_INFINITY : rounds ? Math.round(value) : value));
}

test.each(nativeInstructionSets())("%s: the token is the reference's, and so are log-probabilities", async (isa) => {
  const { backend } = openNative({ threads: 2, instructionSet: isa });
  if (!backend) throw new Error("the native backend is not built");
  for (const [width, rounds] of [
    [1, 4],
    [37, 60],
    [1003, 60],
    [50_257, 3],
  ] as const) {
    for (let round = 0; round < rounds; round++) {
      const rows = Array.from({ length: 4 }, (_, row) => anyLogits(width, 10 * round + row));
      const choices = rows.map(() => anyChoice(width));
      const all = Float32Array.from(rows.flatMap((row) => [...row]));
      const logits = Tensor.from(backend, all, [rows.length, width]);
      const found = await backend.chooseTokens(logits, choices);
      logits.release();
      const expected = rows.map((row, i) => chooseToken(row, choices[i] as TokenChoice));
      for (const [i, choice] of choices.entries()) expect(found[i], JSON.stringify(choice)).toEqual(expected[i]);
    }
  }
});

test("logits that are no numbers give no token, and the row beside them gives its own", async () => {
  const { backend } = openNative({ threads: 1 });
  if (!backend) throw new Error("the native backend is not built");
  const plain = { ...anyChoice(3), temperature: 0, allowed: null, given: null, alternatives: 0 };
  const none = { ids: new Int32Array(0), amounts: new Float64Array(0) };
  const choice = { ...plain, seen: none.ids, bias: none, lowered: none };
  const logits = Tensor.from(backend, [Number.NaN, Number.NaN, Number.NaN, 0, Math.log(2), 0], [2, 3]);
  const [damaged, whole] = await backend.chooseTokens(logits, [choice, choice]);
  expect(damaged?.token).toBe(-1);
  expect(whole?.token).toBe(1);
  expect(whole?.logprob).toBeCloseTo(Math.log(0.5), 6);
});
