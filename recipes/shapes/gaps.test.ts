import { expect, test } from "vitest";
import { families, Initializer, openReference, otherFamilies, Random, trainByteLevelBpe } from "../../src/index.ts";
import { fillGaps, makeGaps } from "./gaps.ts";

const words = "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar".split(" ");
const text = Array.from({ length: 900 }, (_, i) => words[(7 * i + Math.floor(i / 15)) % 15]).join(" ");
const special = ["[CLS]", "[SEP]", "[MASK]", "<extra_id_0>", "</s>"];
const tokenizer = trainByteLevelBpe([text], { vocabularySize: 330 }).withSpecialTokens(special);
const gaps = makeGaps([text], tokenizer, 6, 1);

test("a gap is one whole word, to be told from nine others", () => {
  expect(gaps).toHaveLength(6);
  for (const { ids, place, choices } of gaps) {
    expect(ids).toHaveLength(64);
    expect(tokenizer.decode([ids[place] ?? 0])).toMatch(/^ [a-z]{3,}$/);
    expect(choices[0]).toBe(ids[place]);
    expect(new Set(choices).size).toBe(10);
  }
  expect(makeGaps([text], tokenizer, 6, 1)).toEqual(gaps);
});

test("every kind of model fills gaps, an untrained one by chance", async () => {
  const init = new Initializer(openReference(), new Random(1));
  const shape = { vocabularySize: tokenizer.vocabularySize, context: 70, width: 8, layers: 1, heads: 2, dropout: 0 };
  const { bert, t5 } = otherFamilies;
  const opened = [
    { kind: "decoder", model: families.gpt2.create(families.gpt2.shaped(shape), init) },
    { kind: "encoder", model: bert.create(bert.shaped(shape), init) },
    { kind: "encoder-decoder", model: t5.create(t5.shaped(shape), init) },
  ] as const;
  for (const one of opened) {
    const { ofTen, ofAll } = await fillGaps({ ...one, tokenizer }, gaps);
    expect(ofTen).toBeGreaterThanOrEqual(0);
    expect(ofTen).toBeLessThan(0.7);
    expect(ofAll).toBeLessThan(0.5);
  }
});
