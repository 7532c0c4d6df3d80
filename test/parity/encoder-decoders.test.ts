import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Backend } from "../../src/backend/kernels.ts";
import { toStored } from "../../src/checkpoint/assign-tensors.ts";
import { openSafetensors } from "../../src/checkpoint/safetensors-file.ts";
import type { TextPairs } from "../../src/data/span-corruption.ts";
import { searchTexts, writeTexts } from "../../src/generate/text-to-text.ts";
import { loadTextToText } from "../../src/models/load-text-to-text.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { textToTextLoss } from "../../src/train/objectives/text-to-text.ts";
import { backends } from "./backends.ts";
import { gradientOf } from "./gradient-of.ts";

const fixtures = join(import.meta.dirname, "fixtures", "encoder-decoders");
const names = readdirSync(fixtures).sort();

/** Largest difference between two tensors, relative where the numbers are above 1. */
function gap(actual: ArrayLike<number>, expected: Float32Array): number {
  expect(actual.length).toBe(expected.length);
  return expected.reduce(
    (most, x, i) => Math.max(most, Math.abs((actual[i] ?? Number.NaN) - x) / Math.max(1, Math.abs(x))),
    0,
  );
}

type Recorded = Awaited<ReturnType<typeof openSafetensors>>;

async function pairsOf(recorded: Recorded): Promise<TextPairs> {
  const [batch = 0, time = 0] = recorded.info("input_ids").shape;
  const targetTime = recorded.info("targets").shape[1] ?? 0;
  const [inputs, lengths, targets] = await Promise.all(
    ["input_ids", "lengths", "targets"].map((name) => recorded.readIntegers(name)),
  );
  if (!inputs || !lengths || !targets) throw new Error("the fixture is incomplete");
  return { batch, time, inputs, lengths, targets, targetTime };
}

/** Rows of padded ids, without their padding of −1. */
async function textsOf(recorded: Recorded, name: string): Promise<number[][]> {
  const width = recorded.info(name).shape[1] ?? 0;
  const ids = [...(await recorded.readIntegers(name))];
  return Array.from({ length: ids.length / width }, (_, row) => ids.slice(row * width, (row + 1) * width)).map((text) =>
    text.filter((id) => id >= 0),
  );
}

describe.each(names)("%s", (name) => {
  const folder = join(fixtures, name);
  const open = (): Promise<Recorded> => openSafetensors(join(folder, "recorded.safetensors"));

  describe.each(backends)("on %s", (_, backend) => {
    test.each([false, true])(
      "logits, loss and every gradient are those of transformers; recompute %s",
      async (recompute) => {
        const recorded = await open();
        const pairs = await pairsOf(recorded);
        const { model, family } = await loadTextToText(folder, backend);
        const { batch, time, targets, targetTime } = pairs;
        const text = model.encode(Tensor.from(backend, pairs.inputs, [batch, time]), pairs.lengths);
        const { padding, decoderStart } = model.settings;
        const moved = targets.map((_id, i) => (i % targetTime === 0 ? decoderStart : (targets[i - 1] ?? 0)));
        const ids = moved.map((id) => (id < 0 ? padding : id));
        const logits = model.logits(model.decode(Tensor.from(backend, ids, [batch, targetTime]), text));
        expect(gap(await logits.floats(), await recorded.read("logits"))).toBeLessThan(1e-4);
        const loss = textToTextLoss(model, pairs, null, { recompute });
        expect(gap(await loss.floats(), await recorded.read("loss"))).toBeLessThan(1e-5);
        loss.backward();
        const gradients = new Map<string, number>();
        for (const binding of family.tensors(model)) {
          const key = `gradient.${binding.name}`;
          if (!recorded.has(key)) continue;
          const own = (await gradientOf(model)(binding)?.floats()) ?? new Float32Array(binding.parameter.size);
          gradients.set(key, gap(toStored({ ...binding, tensor: binding.parameter }, own), await recorded.read(key)));
        }
        expect(gradients.size).toBe(recorded.names().filter((key) => key.startsWith("gradient.")).length);
        expect([...gradients].filter(([, difference]) => !(difference < 1e-4))).toEqual([]);
        await recorded.close();
      },
    );

    test("written token by token from a cache, logits are those of the whole", async () => {
      expect(await cacheGap(folder, backend)).toBeLessThan(1e-5);
    });
  });

  test("greedy and beam search write what transformers writes", async () => {
    const recorded = await open();
    const pairs = await pairsOf(recorded);
    const backend = backends[0]?.[1];
    if (!backend) throw new Error("no backend");
    const { model } = await loadTextToText(folder, backend);
    const texts = [...pairs.lengths].map((length, row) => [
      ...pairs.inputs.subarray(row * pairs.time).subarray(0, length),
    ]);
    const maxNewTokens = recorded.info("beams-1-penalty-1.texts").shape[1] ?? 0;
    const greedy = await writeTexts(model, texts, { sampling: { temperature: 0 }, maxNewTokens, seed: 1 });
    expect(greedy.map(({ tokens }) => [...tokens])).toEqual(await textsOf(recorded, "beams-1-penalty-1.texts"));
    for (const [beams, lengthPenalty] of [
      [3, 1],
      [4, 0],
      [3, 2],
    ] as const) {
      const key = `beams-${beams}-penalty-${lengthPenalty}`;
      const found = await searchTexts(model, texts, { beams, lengthPenalty, maxNewTokens });
      expect([key, found.map(({ tokens }) => [...tokens])]).toEqual([key, await textsOf(recorded, `${key}.texts`)]);
      expect(
        gap(
          found.map(({ score }) => score),
          await recorded.read(`${key}.scores`),
        ),
      ).toBeLessThan(1e-4);
    }
    await recorded.close();
  });
});

/** How far logits of one token at a time are from those of all at once. */
async function cacheGap(folder: string, backend: Backend): Promise<number> {
  const { model } = await loadTextToText(folder, backend);
  const inputs = Int32Array.of(3, 9, 27, 12, 5, 15, 8, 21);
  const text = model.encode(Tensor.from(backend, inputs, [2, 4]), Int32Array.of(4, 3));
  const written = [
    [2, 7, 11],
    [2, 20, 4],
  ];
  const whole = await model
    .logits(model.decode(Tensor.from(backend, Int32Array.from(written.flat()), [2, 3]), text))
    .floats();
  const cache = model.newCache(2, 5);
  const remembered = model.remember(text);
  let most = 0;
  for (let step = 0; step < 3; step++) {
    cache.extend(Int32Array.of(1, 1), 1);
    const ids = Int32Array.from(written, (row) => row[step] ?? 0);
    const logits = model.logits(model.decode(Tensor.from(backend, ids, [2, 1]), remembered, { cache }));
    const values = await logits.floats();
    const width = values.length / 2;
    for (const row of [0, 1]) {
      const at = (3 * row + step) * width;
      most = Math.max(most, gap(values.subarray(row * width, (row + 1) * width), whole.slice(at, at + width)));
    }
  }
  cache.release();
  return most;
}
