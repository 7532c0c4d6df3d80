import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { exact, ids } from "../../test/exact.ts";
import { writeModelFolder } from "../checkpoint/model-folder.ts";
import { CheckpointError, ShapeError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import type { JsonObject } from "../files/json.ts";
import { Initializer, parameters } from "../nn/parameters.ts";
import { BertClassifier, BertClassifierSettings } from "./bert.ts";
import { bert, bertClassifier } from "./bert-families.ts";
import { loadModel, loadModelOf } from "./load.ts";
import { storedTensors } from "./read-model.ts";

const shape = { vocabularySize: 13, context: 6, width: 8, layers: 2, heads: 2, dropout: 0 };
const init = new Initializer(exact, new Random(1));
const model = bert.create({ ...bert.shaped(shape), initializerRange: 0.5 }, init);

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bert-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function hiddenOf(tokens: readonly number[], lengths: readonly number[]): Promise<number[]> {
  const input = ids(tokens, [lengths.length, tokens.length / lengths.length]);
  return [...(await model.forward(input, { lengths: Int32Array.from(lengths) }).read())];
}

test("every token sees every other, none sees padding or another sequence", async () => {
  const before = await hiddenOf([1, 2, 3, 0, 4, 5, 6, 7], [3, 4]);
  const rows = (hidden: number[]): number[][] => Array.from({ length: 8 }, (_, i) => hidden.slice(8 * i, 8 * i + 8));
  const padded = rows(await hiddenOf([1, 2, 3, 9, 4, 5, 6, 7], [3, 4]));
  for (const row of [0, 1, 2, 4, 5, 6, 7]) expect(padded[row]).toEqual(rows(before)[row]);
  const changed = rows(await hiddenOf([1, 2, 8, 0, 4, 5, 6, 7], [3, 4]));
  for (const row of [0, 1, 2]) expect(changed[row]).not.toEqual(rows(before)[row]);
  for (const row of [4, 5, 6, 7]) expect(changed[row]).toEqual(rows(before)[row]);
});

test("segments and a sequence's own padding matter only where they are", async () => {
  const tokens = ids([1, 2, 3, 4], [1, 4]);
  const plain = await model.forward(tokens).read();
  const marked = await model.forward(tokens, { segments: Int32Array.of(0, 0, 1, 1) }).read();
  expect([...marked]).not.toEqual([...plain]);
  expect(model.relationshipLogits(model.forward(tokens)).shape).toEqual([1, 2]);
});

test("a folder is the same after load and save, and does not open as a decoder", async () => {
  const save = async (name: string): Promise<string> => {
    const path = join(folder, name);
    const config = bert.writeConfig(model.settings, { endOfText: null }) as JsonObject;
    await writeModelFolder(path, { config, tensors: storedTensors(bert, model) });
    return path;
  };
  const first = await save("first");
  const loaded = await loadModelOf(bert, first, exact);
  expect(loaded.settings).toEqual(model.settings);
  const second = join(folder, "second");
  const config = bert.writeConfig(loaded.settings, { endOfText: null }) as JsonObject;
  await writeModelFolder(second, { config, tensors: storedTensors(bert, loaded) });
  for (const file of ["config.json", "model.safetensors"]) {
    expect((await readFile(join(second, file))).equals(await readFile(join(first, file)))).toBe(true);
  }
  await expect(loadModel(first, exact)).rejects.toThrow(
    'config.json has model_type "bert", which is another shape of model (BERT: bidirectional encoder',
  );
});

test("a classifier goes on from a pretrained body and keeps the names of its classes", async () => {
  const settings = BertClassifierSettings.parse({
    ...{ ...model.settings, task: "sequence-classification", labels: ["ham", "spam"] },
  });
  const classifier = new BertClassifier(settings, init, model.body);
  expect(classifier.body).toBe(model.body);
  const path = join(folder, "classifier");
  const config = bertClassifier.writeConfig(classifier.settings, { endOfText: null }) as JsonObject;
  await writeModelFolder(path, { config, tensors: storedTensors(bertClassifier, classifier) });
  const loaded = await loadModelOf(bertClassifier, path, exact);
  expect(loaded.settings).toEqual(classifier.settings);
  expect(loaded.forward(ids([1, 2, 3, 4], [2, 2])).shape).toEqual([2, 2]);
});

test("dropout follows the generator, also where blocks are computed again", async () => {
  const dropping = bert.create({ ...bert.shaped({ ...shape, dropout: 0.5 }), initializerRange: 0.5 }, init);
  const gradients = async (recompute: boolean): Promise<number[][]> => {
    const hidden = dropping.forward(ids([1, 2, 3, 4], [2, 2]), { random: new Random(5), recompute });
    dropping.logits(hidden).mul(dropping.logits(hidden)).sum().backward();
    const all = [...parameters(dropping.body).values()];
    const read = await Promise.all(all.map(async ({ grad }) => [...((await grad?.read()) ?? [])]));
    for (const parameter of parameters(dropping).values()) parameter.grad = null;
    return read;
  };
  expect(await gradients(true)).toEqual(await gradients(false));
});

const config = bert.writeConfig(model.settings, { endOfText: null });

test.each([
  [{ position_embedding_type: "relative_key" }, "config.json: position_embedding_type"],
  [{ is_decoder: true }, "config.json: is_decoder is true"],
  [{ hidden_act: "mish" }, 'config.json: hidden_act is "mish"'],
  [{ num_hidden_layers: undefined }, "config.json: num_hidden_layers is"],
])("a config with %j is refused", (change, message) => {
  expect(() => bert.readConfig({ ...config, ...change })).toThrow(CheckpointError);
  expect(() => bert.readConfig({ ...config, ...change })).toThrow(message);
});

test("names of classes must count from 0", () => {
  expect(() => bertClassifier.readConfig({ ...config, id2label: { 0: "a", 2: "b" } })).toThrow("ids have gaps");
  expect(bertClassifier.readConfig({ ...config, id2label: { 1: "b", 0: "a" } }).labels).toEqual(["a", "b"]);
});

test("a sequence longer than the positions is refused", () => {
  expect(() => model.forward(ids([1, 2, 3, 4, 5, 6, 7], [1, 7]))).toThrow(
    new ShapeError("bert: position 6 is beyond the context of 6 tokens"),
  );
});
