import { expect, test } from "vitest";
import { expectClose, nearly } from "../../test/closeness.ts";
import { openReference } from "../backend/reference/index.ts";
import { Random } from "../core/random.ts";
import { Decoder } from "../generate/decoder.ts";
import { families } from "../models/index.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { Initializer } from "../nn/parameters.ts";
import type { AttentionMask } from "../tensor/ops/attention-mask.ts";
import { Tensor } from "../tensor/tensor.ts";
import { likelihoodsAlone, likelihoodsOfChoices } from "./token-likelihoods.ts";

const backend = openReference();
const shape = { vocabularySize: 50, context: 16, width: 16, layers: 2, heads: 2, dropout: 0 };

function create(name: "gpt2" | "llama" | "mixtral"): LanguageModel {
  const family = families[name];
  const model: LanguageModel = family.create(family.shaped(shape) as never, new Initializer(backend, new Random(3)));
  model.readsPrefix = true;
  return model;
}

/** Logits behind the last token of a text that is read in one pass. */
async function lastLogits(model: LanguageModel, ids: readonly number[], mask: AttentionMask): Promise<Float32Array> {
  const hidden = model.forward(Tensor.from(backend, Int32Array.from(ids), [1, ids.length]), { mask });
  const values = await model.logits(hidden).floats();
  return values.subarray(-shape.vocabularySize);
}

const prompt = [4, 8, 15, 16, 23, 42];

test.each(["gpt2", "llama", "mixtral"] as const)(
  "%s reads a prompt at once, what follows from left to right",
  async (name) => {
    const model = create(name);
    const prefix = { causal: true, prefixLengths: Int32Array.of(prompt.length) };
    const wanted = await lastLogits(model, prompt, prefix);
    const decoder = new Decoder(model, 2, 12);
    const longer = [...prompt, 7, 7, 7];
    const [first, second] = await decoder.feed([
      { slot: 1, tokens: prompt },
      { slot: 0, tokens: longer },
    ]);
    expectClose(first ?? [], wanted, nearly);
    const all = { causal: true, prefixLengths: Int32Array.of(longer.length) };
    expectClose(second ?? [], await lastLogits(model, longer, all), nearly);
    const [next] = await decoder.feed([{ slot: 1, tokens: [9] }]);
    expectClose(next ?? [], await lastLogits(model, [...prompt, 9], prefix), nearly);
    const [causal, same] = [await lastLogits(model, prompt, { causal: true }), Array.from(wanted)];
    expect(Math.max(...causal.map((value, i) => Math.abs(value - (same[i] ?? 0))))).toBeGreaterThan(1e-4);
    decoder.release();
  },
);

test("answers are scored behind a context that is read at once, and never see themselves", async () => {
  const model = create("gpt2");
  const context = Int32Array.from(prompt);
  const question = [[1, 2, 3], [30], [31, 2]].map((own) => ({ context, continuation: Int32Array.from(own) }));
  const single = [[5], [6, 7]].map((own) => ({ context: Int32Array.of(3), continuation: Int32Array.from(own) }));
  const [shared = [], ofOne = []] = await likelihoodsOfChoices(model, [question, single], 64, () => {});
  const alone = await likelihoodsAlone(model, [...question, ...single], 64, () => {});
  expectClose(
    [...shared, ...ofOne].map(({ logProb }) => logProb),
    alone.map(({ logProb }) => logProb),
    nearly,
  );
  // What stands behind an answer's first token must not change its probability.
  const first = (own: number[]) => ({ context: Int32Array.of(3), continuation: Int32Array.from(own) });
  const [short] = await likelihoodsAlone(model, [first([6])], 64, () => {});
  const [tail] = await likelihoodsAlone(
    model,
    [{ context: Int32Array.of(3, 6), continuation: Int32Array.of(7) }],
    64,
    () => {},
  );
  model.readsPrefix = false;
  const [causal] = await likelihoodsAlone(model, [first([6])], 64, () => {});
  expect(short?.logProb).toBeCloseTo(causal?.logProb ?? 0, 5);
  expect((short?.logProb ?? 0) + (tail?.logProb ?? 0)).toBeCloseTo(ofOne[1]?.logProb ?? 0, 4);
});
