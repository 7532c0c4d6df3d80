import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { expectClose } from "../../test/closeness.ts";
import { openReference } from "../backend/reference/index.ts";
import { openModelFolder, writeModelFolder } from "../checkpoint/model-folder.ts";
import { Random } from "../core/random.ts";
import type { JsonObject } from "../files/json.ts";
import { Initializer, parameters } from "../nn/parameters.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { ModelFamily } from "./family.ts";
import { families } from "./index.ts";
import type { LanguageModel } from "./language-model.ts";
import { loadModel } from "./load.ts";
import { storedTensors } from "./read-model.ts";
import { resizeVocabulary } from "./resize-vocabulary.ts";
import { loadRewardModel, openRewardModel, RewardModel, rewardConfig, rewardTensors } from "./reward-model.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-reward-"));
afterAll(() => rmSync(root, { recursive: true }));

const backend = openReference();
const shape = { vocabularySize: 11, context: 8, width: 16, layers: 1, heads: 2, dropout: 0 };
const none = { endOfText: null };
const all: readonly (readonly [string, ModelFamily])[] = Object.entries(families);

function newModel(family: ModelFamily): LanguageModel {
  return family.create(family.shaped(shape), new Initializer(backend, new Random(1)));
}

const ids = (): Tensor => Tensor.from(backend, Int32Array.of(1, 2, 3, 4, 5, 0), [2, 3]);
const places = Int32Array.of(2, 4);
const scoresOf = async (model: RewardModel): Promise<ArrayLike<number>> => model.scores(ids(), places).read();

async function save(family: ModelFamily, model: RewardModel): Promise<string> {
  const path = join(mkdtempSync(join(root, "saved-")), "model");
  const config = rewardConfig(family, model, none, null) as JsonObject;
  await writeModelFolder(path, { config, tensors: rewardTensors(family, model) });
  return path;
}

test.each(all)("a reward model of %s gives the same after a trip through its folder", async (_, family) => {
  const model = new RewardModel(newModel(family), new Random(2));
  model.shift = 0.5;
  const path = await save(family, model);
  const folder = await openModelFolder(path);
  expect(folder.config.architectures).toEqual([expect.stringMatching(/^\w+ForSequenceClassification$/)]);
  expect(folder.tensors.info("score.weight").shape).toEqual([1, 16]);
  expect(folder.tensors.has("lm_head.weight")).toBe(false);
  await folder.close();
  const { model: opened } = await loadRewardModel(path, backend, new Random(9));
  expect(await scoresOf(opened)).toEqual(await scoresOf(model));
});

test("a language model gets a new head; its folder is no reward model", async () => {
  const path = join(mkdtempSync(join(root, "saved-")), "model");
  const model = newModel(families.gpt2);
  const config = families.gpt2.writeConfig(model.settings as never, none) as JsonObject;
  await writeModelFolder(path, { config, tensors: storedTensors(families.gpt2, model) });
  const { model: reward } = await loadRewardModel(path, backend, new Random(2));
  expect(await scoresOf(reward)).toEqual(await scoresOf(new RewardModel(model, new Random(2))));
  const folder = await openModelFolder(path);
  await expect(openRewardModel(folder, backend)).rejects.toThrow("is a GPT2LMHeadModel, not a reward model");
  await folder.close();
});

test("a reward model is no language model", async () => {
  const path = await save(families.gpt2, new RewardModel(newModel(families.gpt2), new Random(2)));
  await expect(loadModel(path, backend)).rejects.toThrow(
    "is a reward model, which gives answers a number and writes no text; stemma reward --check measures it",
  );
});

test("a classifier of several classes is no reward model", async () => {
  const model = new RewardModel(newModel(families.gpt2), new Random(2));
  const path = join(mkdtempSync(join(root, "saved-")), "model");
  const config = rewardConfig(families.gpt2, model, none, null) as JsonObject;
  const score = new Initializer(backend, new Random(3)).normal([3, 16], 1);
  const tensors = rewardTensors(families.gpt2, model).map((stored) =>
    stored.name === "score.weight" ? { ...stored, shape: [3, 16], read: () => score.floats() } : stored,
  );
  await writeModelFolder(path, { config, tensors });
  await expect(loadRewardModel(path, backend, null)).rejects.toThrow(
    "is a classifier of 3 classes (GPT2ForSequenceClassification), not a reward model, which gives one number",
  );
});

test("the bias shifts every reward and is not trained", async () => {
  const model = new RewardModel(newModel(families.gpt2), new Random(2));
  const before = await scoresOf(model);
  model.bias.write(Float32Array.of(-3));
  expectClose(
    await scoresOf(model),
    Array.from(before, (score) => score - 3),
    { absolute: 1e-6, relative: 0 },
  );
  expect([...model.trainable().keys()]).not.toContain("bias");
});

test("padding behind an answer does not change its reward", async () => {
  const model = new RewardModel(newModel(families.gpt2), new Random(2));
  const alone = await model.scores(Tensor.from(backend, Int32Array.of(4, 5), [1, 2]), Int32Array.of(1)).read();
  expectClose([(await scoresOf(model))[1] ?? 0], alone, { absolute: 1e-6, relative: 0 });
});

test.each(all)("a larger vocabulary leaves what %s says of the old tokens as it was", async (_, family) => {
  const model = newModel(family);
  const logits = async (of: LanguageModel): Promise<number[]> => [...(await of.logits(of.forward(ids())).read())];
  const [before, paths] = [await logits(model), [...parameters(model).keys()]];
  const larger = await resizeVocabulary(family, model, 13);
  expect(larger.settings.vocabularySize).toBe(13);
  const after = await logits(larger);
  for (let row = 0; row < 6; row++) {
    expectClose(after.slice(row * 13, row * 13 + 11), before.slice(row * 11, row * 11 + 11), {
      absolute: 1e-5,
      relative: 0,
    });
    const mean = before.slice(row * 11, row * 11 + 11).reduce((a, b) => a + b, 0) / 11;
    expectClose(after.slice(row * 13 + 11, row * 13 + 13), [mean, mean], { absolute: 1e-5, relative: 0 });
  }
  expect([...parameters(larger).keys()]).toEqual(paths);
});
