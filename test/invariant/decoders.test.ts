import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeModelFolder } from "../../src/checkpoint/model-folder.ts";
import { Random } from "../../src/core/random.ts";
import type { JsonObject } from "../../src/files/json.ts";
import type { ModelFamily } from "../../src/models/family.ts";
import { families } from "../../src/models/index.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import { loadModel } from "../../src/models/load.ts";
import { storedTensors } from "../../src/models/read-model.ts";
import { Initializer, parameters } from "../../src/nn/parameters.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { nextTokenLoss } from "../../src/train/objectives/next-token.ts";
import { optimizerStep } from "../../src/train/optimizer-step.ts";
import { expectClose } from "../closeness.ts";
import { exact } from "../exact.ts";

const shape = { vocabularySize: 31, context: 12, width: 16, layers: 2, heads: 4, dropout: 0 };

const numbers = new Random(9).normal(2 * shape.context);
const ids = Int32Array.from(numbers, (value) => Math.floor(Math.abs(value * 1000)) % shape.vocabularySize);

/** A small model of a family whose weights are all far from 0, so that everything in it matters. */
function newModel(family: ModelFamily): LanguageModel {
  const model = family.create(family.shaped(shape), new Initializer(exact, new Random(1)));
  for (const [i, parameter] of [...parameters(model).values()].entries()) {
    const noise = new Random(i).normal(parameter.size, 0.3);
    exact.kernels.accumulate(Tensor.from(exact, noise, parameter.shape), parameter);
  }
  return model;
}

async function logitsOf(model: LanguageModel, tokens: Int32Array, time: number): Promise<Float64Array> {
  const input = Tensor.from(exact, tokens, [tokens.length / time, time]);
  return Float64Array.from(await model.logits(model.forward(input)).read());
}

const everyFamily = Object.entries<ModelFamily>(families);

describe.each(everyFamily)("%s", (_name, family) => {
  test("a token decoded from the cache has the logits it has in one pass", async () => {
    const model = newModel(family);
    const { context: time, vocabularySize } = shape;
    const whole = await logitsOf(model, ids, time);
    const cache = model.newCache(3, time);
    // Two sequences of unequal pace, each with pieces of several sizes, padded where the other's piece is longer.
    const pieces = [
      [3, 1, 4, 1, 3],
      [1, 0, 5, 5, 1],
    ];
    const done = [0, 0];
    for (let step = 0; step < 5; step++) {
      const counts = Int32Array.from(pieces, (sizes) => sizes[step]!);
      const longest = Math.max(...counts);
      const input = new Int32Array(2 * longest);
      counts.forEach((count, b) => {
        input.set(ids.subarray(b * time + done[b]!, b * time + done[b]! + count), b * longest);
      });
      cache.extend(counts, longest);
      const hidden = model.forward(Tensor.from(exact, input, [2, longest]), { cache });
      const logits = await model.logits(hidden).read();
      counts.forEach((count, b) => {
        for (let t = 0; t < count; t++) {
          const at = (b * longest + t) * vocabularySize;
          const inWhole = (b * time + done[b]! + t) * vocabularySize;
          const expected = whole.subarray(inWhole, inWhole + vocabularySize);
          expectClose(logits.subarray(at, at + vocabularySize), expected, { absolute: 1e-9, relative: 1e-9 });
        }
        done[b]! += count;
      });
    }
    cache.release();
  });

  test("no position sees what comes after it, and every one sees what came before", async () => {
    const model = newModel(family);
    const { context: time, vocabularySize } = shape;
    const before = await logitsOf(model, ids, time);
    for (const changed of [1, 6, time - 1]) {
      const other = ids.slice();
      other[changed] = (other[changed]! + 1) % vocabularySize;
      const after = await logitsOf(model, other, time);
      for (let row = 0; row < 2 * time; row++) {
        const rows = [before, after].map((all) => [...all.slice(row * vocabularySize, (row + 1) * vocabularySize)]);
        const isAffected = row >= changed && row < time;
        if (isAffected) expect(rows[1], `row ${row}`).not.toEqual(rows[0]);
        else expect(rows[1], `row ${row}`).toEqual(rows[0]);
      }
    }
  });
});

describe.each(everyFamily)("%s", (_name, family) => {
  test("learns one batch by heart", async () => {
    const model = family.create(family.shaped(shape), new Initializer(exact, new Random(1)));
    const batch = { inputs: ids, targets: Int32Array.from([...ids.subarray(1), 0]), batch: 2, time: shape.context };
    const run = {
      model,
      objective: nextTokenLoss,
      batches: () => [{ batch, share: 1, tokens: ids.length }],
      optimizer: new AdamW(parameters(model), { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0 }),
      schedule: () => 0.02,
      maxGradientNorm: 1,
      seed: 1,
    };
    let loss = Number.POSITIVE_INFINITY;
    for (let step = 0; step < 400 && !(loss < 0.1); step++) loss = (await optimizerStep(run, step)).loss ?? Number.NaN;
    expect(loss).toBeLessThan(0.1);
  });

  describe("its folder", () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "stemma-models-"));
    });
    afterAll(() => rm(folder, { recursive: true }));

    test("is the same after load and save", async () => {
      const model = newModel(family);
      await save(family, model, join(folder, "first"));
      const loaded = await loadModel(join(folder, "first"), exact);
      await save(loaded.family, loaded.model, join(folder, "second"));
      for (const file of ["config.json", "model.safetensors"]) {
        const [first, second] = await Promise.all(
          ["first", "second"].map((name) => readFile(join(folder, name, file))),
        );
        expect(second?.equals(first!), file).toBe(true);
      }
      expect(loaded.model.settings).toEqual(family.shaped(shape));
    });
  });
});

async function save(family: ModelFamily, model: LanguageModel, path: string): Promise<void> {
  const config = family.writeConfig(model.settings, { endOfText: 0 }) as JsonObject;
  await writeModelFolder(path, { config, tensors: storedTensors(family, model) });
}
