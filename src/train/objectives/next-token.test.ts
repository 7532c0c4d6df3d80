import { expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { exact, read } from "../../../test/exact.ts";
import { Random } from "../../core/random.ts";
import { ignoredTarget } from "../../data/windows.ts";
import type { GptSettings } from "../../models/gpt.ts";
import { Gpt } from "../../models/gpt.ts";
import { Initializer, parameters } from "../../nn/parameters.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { PredictionBatch } from "./next-token.ts";
import { nextTokenLoss, targetLogProbs } from "./next-token.ts";

const settings: GptSettings = {
  ...{ normPosition: "before", vocabularySize: 13, context: 8, width: 8, layers: 2, heads: 2, hidden: 16 },
  ...{ activation: "geluTanh", embeddingDropout: 0, attentionDropout: 0, residualDropout: 0 },
  ...{ normEpsilon: 1e-5, tiedEmbeddings: true, initializerRange: 0.3 },
};

const newModel = (): Gpt => new Gpt(settings, new Initializer(exact, new Random(5)));

/** Loss and all gradients, with parts of a batch weighted by their share. */
async function gradients(parts: readonly (readonly [PredictionBatch, number])[]): Promise<number[]> {
  const model = newModel();
  let total = 0;
  for (const [tokens, share] of parts) {
    const loss = nextTokenLoss(model, tokens, null).mul(share);
    loss.backward();
    total += (await read(loss))[0] ?? 0;
  }
  const each = await Promise.all([...parameters(model).values()].map(({ grad }) => read(grad)));
  return [total, ...each.flat()];
}

function row(inputs: readonly number[], targets: readonly number[]): PredictionBatch {
  const time = inputs.length;
  return { inputs: Int32Array.from(inputs), targets: Int32Array.from(targets), batch: 1, time };
}

const near = { absolute: 1e-7, relative: 1e-6 };

test("texts packed in a row train as they do alone", async () => {
  const first = row([1, 2, 3], [2, 3, 4]);
  const second = row([7, 8, 9, 10], [-100, 9, 10, 11]);
  const packed = {
    ...row([1, 2, 3, 7, 8, 9, 10], [2, 3, 4, -100, 9, 10, 11]),
    packing: {
      positions: Int32Array.of(0, 1, 2, 0, 1, 2, 3),
      firstKeys: Int32Array.of(0, 0, 0, 3, 3, 3, 3),
    },
  };
  const alone = await gradients([
    [first, 1 / 2],
    [second, 1 / 2],
  ]);
  // Rows of the position table that only one of the two reached agree as well, so nothing leaked either way.
  expectClose(await gradients([[packed, 1]]), alone, near);
});

test("log-probabilities by target are what the loss is the mean of, and those of the softmax", async () => {
  const model = newModel();
  const tokens = { ...row([1, 2, 3, 7, 8, 9], [2, 3, ignoredTarget, 8, 9, 10]), batch: 2, time: 3 };
  const found = await read(targetLogProbs(model, tokens));
  expect(found[2]).toBe(0);
  const loss = await nextTokenLoss(model, tokens, null).item();
  expect(-found.reduce((a, b) => a + b) / 5).toBeCloseTo(loss, 10);
  const logits = await read(model.logits(model.forward(Tensor.from(exact, Int32Array.of(7, 8), [1, 2]))));
  const last = logits.slice(13).map(Math.exp);
  expect(found[4]).toBeCloseTo(Math.log((last[9] ?? 0) / last.reduce((a, b) => a + b)), 10);
});

test("parts weigh by the tokens they train on, so that cutting a batch changes nothing", async () => {
  const first = row([1, 2, 3, 4], [-100, -100, -100, 5]);
  const second = row([6, 7, 8, 9], [-100, 8, 9, 10]);
  const whole = {
    ...{ batch: 2, time: 4 },
    inputs: Int32Array.of(...first.inputs, ...second.inputs),
    targets: Int32Array.of(...first.targets, ...second.targets),
  };
  const cut = await gradients([
    [first, 1 / 4],
    [second, 3 / 4],
  ]);
  expectClose(await gradients([[whole, 1]]), cut, near);
});

test("a batch without targets has a loss of 0", async () => {
  const [loss, ...all] = await gradients([[row([1, 2], [-100, -100]), 1]]);
  expect(loss).toBe(0);
  expect(all.every((gradient) => gradient === 0)).toBe(true);
});
