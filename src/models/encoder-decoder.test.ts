import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectClose } from "../../test/closeness.ts";
import { exact, ids, read } from "../../test/exact.ts";
import { writeModelFolder } from "../checkpoint/model-folder.ts";
import { CheckpointError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import type { JsonObject } from "../files/json.ts";
import { Initializer } from "../nn/parameters.ts";
import { t5 } from "./encoder-decoders/t5.ts";
import { loadModel, loadModelOf } from "./load.ts";
import { storedTensors } from "./read-model.ts";
import type { EncodedText } from "./text-to-text-model.ts";

const shape = { vocabularySize: 13, context: 8, width: 8, layers: 2, heads: 2, dropout: 0 };
const init = new Initializer(exact, new Random(1));
const model = t5.create(t5.shaped(shape), init);
const lengths = Int32Array.of(4, 3);
const encode = (tokens: readonly number[]): EncodedText => model.encode(ids(tokens, [2, 4]), lengths);
const text = encode([1, 2, 3, 4, 5, 6, 7, 0]);

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "t5-"));
});
afterAll(() => rm(folder, { recursive: true }));

const rows = (hidden: number[]): number[][] => Array.from({ length: 8 }, (_, i) => hidden.slice(8 * i, 8 * i + 8));
const written = async (tokens: readonly number[], of = text): Promise<number[][]> =>
  rows(await read(model.decode(ids(tokens, [2, 4]), of)));

test("the encoder sees its whole text and no padding", async () => {
  const [before, padded, changed] = await Promise.all(
    [text, encode([1, 2, 3, 4, 5, 6, 7, 9]), encode([1, 2, 3, 8, 5, 6, 7, 0])].map(async ({ hidden }) =>
      rows(await read(hidden)),
    ),
  );
  for (const row of [0, 1, 2, 3, 4, 5, 6]) expect(padded?.[row]).toEqual(before?.[row]);
  for (const row of [0, 1, 2, 3]) expect(changed?.[row]).not.toEqual(before?.[row]);
  for (const row of [4, 5, 6]) expect(changed?.[row]).toEqual(before?.[row]);
});

test("the decoder sees what it has written and the whole text, not what comes later", async () => {
  const tokens = [0, 1, 2, 3, 0, 4, 5, 6];
  const before = await written(tokens);
  const later = await written([0, 1, 9, 3, 0, 4, 5, 6]);
  for (const row of [0, 1, 4, 5, 6, 7]) expect(later[row]).toEqual(before[row]);
  for (const row of [2, 3]) expect(later[row]).not.toEqual(before[row]);
  const other = await written(tokens, encode([1, 2, 3, 8, 5, 6, 7, 9]));
  for (const row of [0, 1, 2, 3]) expect(other[row]).not.toEqual(before[row]);
  for (const row of [4, 5, 6, 7]) expect(other[row]).toEqual(before[row]);
});

test("written token by token from the cache, hidden states are the same", async () => {
  const whole = await written([0, 1, 2, 3, 0, 4, 5, 6]);
  const remembered = model.remember(text);
  const cache = model.newCache(2, 6);
  for (const [start, end] of [
    [0, 2],
    [2, 3],
    [3, 4],
  ] as const) {
    const time = end - start;
    cache.extend(Int32Array.of(time, time), time);
    const part = [0, 1, 2, 3].slice(start, end).concat([0, 4, 5, 6].slice(start, end));
    const hidden = await read(model.decode(ids(part, [2, time]), remembered, { cache }));
    expectClose(hidden, [...whole.slice(start, end), ...whole.slice(4 + start, 4 + end)].flat(), {
      absolute: 1e-9,
      relative: 1e-9,
    });
  }
  cache.release();
});

test("a folder is the same after load and save, and does not open as a decoder", async () => {
  const save = async (name: string, of: typeof model): Promise<string> => {
    const path = join(folder, name);
    const config = t5.writeConfig(of.settings, { endOfText: 1 }) as JsonObject;
    await writeModelFolder(path, { config, tensors: storedTensors(t5, of) });
    return path;
  };
  const first = await save("first", model);
  const loaded = await loadModelOf(t5, first, exact);
  expect(loaded.settings).toEqual(model.settings);
  const second = await save("second", loaded);
  for (const file of ["config.json", "model.safetensors"]) {
    expect((await readFile(join(second, file))).equals(await readFile(join(first, file)))).toBe(true);
  }
  await expect(loadModel(first, exact)).rejects.toThrow('model_type "t5", which is another shape of model (T5: ');
});

const config = t5.writeConfig(model.settings, { endOfText: 1 });

test("feed-forward layers by name", () => {
  const read = (name: string): unknown => t5.readConfig({ ...config, feed_forward_proj: name });
  expect(read("relu")).toMatchObject({ gated: false, activation: "relu" });
  expect(read("gelu")).toMatchObject({ gated: false, activation: "gelu" });
  expect(read("gated-gelu")).toMatchObject({ gated: true, activation: "geluTanh" });
  expect(read("gated-silu")).toMatchObject({ gated: true, activation: "silu" });
  expect(config).toMatchObject({ feed_forward_proj: "gated-gelu", dense_act_fn: "gelu_new", is_gated_act: true });
});

test("a config that does not say what ends a text means 1, as in the library's own class; null is none", () => {
  const { eos_token_id: _, ...silent } = config;
  expect(t5.readConfig(silent).endOfText).toBe(1);
  expect(t5.readConfig({ ...config, eos_token_id: null }).endOfText).toBeNull();
});

test("of several ends of a text the first is learned", () => {
  expect(t5.readConfig({ ...config, eos_token_id: [3, 1] }).endOfText).toBe(3);
});

test.each([
  // As the library has written it over the years: [tie_word_embeddings, scale_decoder_outputs, is it scaled].
  [undefined, undefined, true],
  [true, undefined, true],
  [false, undefined, false],
  [true, false, false],
  [true, true, true],
])("with tied %s and scale %s, what the output layer reads is scaled: %s", async (tie, says, isScaled) => {
  const { tie_word_embeddings: _, scale_decoder_outputs: __, ...silent } = config;
  const said = { ...(tie !== undefined && { tie_word_embeddings: tie }) };
  const settings = t5.readConfig({ ...silent, ...said, ...(says !== undefined && { scale_decoder_outputs: says }) });
  const hidden = async (output: number): Promise<number[]> => {
    const scales = { ...settings.scales, output };
    const of = t5.create({ ...settings, scales }, new Initializer(exact, new Random(3)));
    return read(of.decode(ids([0, 1], [1, 2]), of.encode(ids([4, 5], [1, 2]), null)));
  };
  const scale = 1 / Math.sqrt(settings.width);
  expect(settings.scales.output).toBe(isScaled ? scale : 1);
  const written = t5.readConfig(t5.writeConfig(settings, { endOfText: 1 }));
  expect({ ...written, config: null }).toEqual({ ...settings, config: null });
  const unscaled = await hidden(1);
  expect(await hidden(scale)).toEqual(unscaled.map((x) => x * scale));
});

test.each([
  [{ feed_forward_proj: "gated-mish" }, "must be relu, gelu, gelu_new, silu, tanh, or gated- and one"],
  [{ is_encoder_decoder: false }, "config.json: is_encoder_decoder is false"],
  [{ d_model: undefined }, "config.json: d_model is"],
])("a config with %j is refused", (change, message) => {
  expect(() => t5.readConfig({ ...config, ...change })).toThrow(CheckpointError);
  expect(() => t5.readConfig({ ...config, ...change })).toThrow(message);
});

test("dropout follows the generator", async () => {
  const dropping = t5.create(t5.shaped({ ...shape, dropout: 0.5 }), init);
  const hidden = async (seed: number, recompute: boolean): Promise<number[]> => {
    const options = { random: new Random(seed), recompute };
    const encoded = dropping.encode(ids([1, 2, 3, 4, 5, 6, 7, 0], [2, 4]), lengths, options);
    return read(dropping.decode(ids([0, 1, 0, 2], [2, 2]), encoded, options));
  };
  expect(await hidden(3, true)).toEqual(await hidden(3, false));
  expect(await hidden(4, false)).not.toEqual(await hidden(3, false));
});
