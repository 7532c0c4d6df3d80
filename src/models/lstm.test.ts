import { expect, test } from "vitest";
import { expectClose } from "../../test/closeness.ts";
import { exact, ids, read } from "../../test/exact.ts";
import { CheckpointError, UnsupportedError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { Initializer, parameters } from "../nn/parameters.ts";
import { lstm } from "./lstm-family.ts";

const shape = { vocabularySize: 11, context: 6, width: 8, layers: 2, heads: 2, dropout: 0 };
const init = new Initializer(exact, new Random(1));
const model = lstm.create({ ...lstm.shaped(shape), initializerRange: 0.5 }, init);

test("a sequence read in two parts, the second from the state that the first left, is the sequence read at once", async () => {
  const whole = model.forward(ids([1, 2, 3, 4, 5, 6, 7, 8], [2, 4]));
  const first = model.readOn(ids([1, 2, 3, 5, 6, 7], [2, 3]), model.newState(2));
  const second = model.readOn(ids([4, 8], [2, 1]), first.state);
  expectClose(await read(first.hidden), await read(whole.slice(1, 0, 3)));
  expectClose(await read(second.hidden), await read(whole.slice(1, 3, 4)));
});

test("no gradient flows into the state that a part leaves", () => {
  const { state } = model.readOn(ids([1, 2], [1, 2]), model.newState(1));
  for (const { hidden, cells } of state) expect([hidden.requiresGrad, cells.requiresGrad]).toEqual([false, false]);
});

test("files have the names of PyTorch's layer", () => {
  expect(lstm.tensors(model).map(({ name }) => name)).toEqual([
    "embedding.weight",
    ...[0, 1].flatMap((layer) =>
      ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map((part) => `lstm.${part}_l${layer}`),
    ),
    "output_bias",
  ]);
});

test("forget gates start open", async () => {
  const biases = await read(parameters(model).get("layers.0.inputBias") ?? null);
  expect(biases).toEqual(Array.from({ length: 32 }, (_, i) => (i >= 8 && i < 16 ? 1 : 0)));
});

test("dropout needs a generator", async () => {
  const dropping = lstm.create({ ...lstm.shaped({ ...shape, dropout: 0.5 }) }, init);
  const hidden = (seed: number | null): Promise<number[]> =>
    read(dropping.forward(ids([1, 2, 3, 4], [2, 2]), { random: seed === null ? null : new Random(seed) }));
  expect(await hidden(1)).toEqual(await hidden(1));
  expect(await hidden(1)).not.toEqual(await hidden(2));
  expect((await hidden(null)).every((value) => value !== 0)).toBe(true);
});

test("packed rows and prefixes are refused", () => {
  const tokens = ids([1, 2], [1, 2]);
  const packed = { mask: { causal: true, firstKeys: Int32Array.of(0, 1) } };
  expect(() => model.forward(tokens, packed)).toThrow(UnsupportedError);
  expect(() => model.forward(tokens, { mask: { causal: true, prefixLengths: Int32Array.of(1) } })).toThrow(
    UnsupportedError,
  );
});

test("a config that is not tied is refused", () => {
  const config = { ...lstm.writeConfig(model.settings, { endOfText: 0 }), tie_word_embeddings: false };
  expect(() => lstm.readConfig(config)).toThrow(CheckpointError);
});
