import { expect, test } from "vitest";
import { exact, ids } from "../../test/exact.ts";
import { CheckpointError, SettingsError, ShapeError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { Initializer, parameterCount, parameters } from "../nn/parameters.ts";
import { Tensor } from "../tensor/tensor.ts";
import { llama } from "./decoders/llama.ts";

const shape = { vocabularySize: 11, context: 6, width: 8, layers: 1, heads: 2, dropout: 0 };
const init = new Initializer(exact, new Random(1));
const config = llama.writeConfig(llama.shaped(shape), { endOfText: 3 });

test("files hold queries, keys, values, gates and values apart", () => {
  const model = llama.create(llama.shaped(shape), init);
  const shapes = Object.fromEntries(llama.tensors(model).map(({ name, parameter }) => [name, parameter.shape]));
  expect(shapes).toEqual({
    "model.embed_tokens.weight": [11, 8],
    "model.layers.0.input_layernorm.weight": [8],
    "model.layers.0.self_attn.q_proj.weight": [8, 8],
    "model.layers.0.self_attn.k_proj.weight": [4, 8],
    "model.layers.0.self_attn.v_proj.weight": [4, 8],
    "model.layers.0.self_attn.o_proj.weight": [8, 8],
    "model.layers.0.post_attention_layernorm.weight": [8],
    "model.layers.0.mlp.gate_proj.weight": [32, 8],
    "model.layers.0.mlp.up_proj.weight": [32, 8],
    "model.layers.0.mlp.down_proj.weight": [8, 32],
    "model.norm.weight": [8],
  });
  const stored = llama.tensors(model).reduce((count, { parameter }) => count + parameter.size, 0);
  expect(stored).toBe(parameterCount(model));
});

test("an output layer of its own is trained and stored", () => {
  const model = llama.create({ ...llama.shaped(shape), tiedEmbeddings: false }, init);
  expect(llama.tensors(model).at(-1)?.name).toBe("lm_head.weight");
  expect([...parameters(model).keys()]).toContain("head");
  expect(model.outputWeight).toBe(model.head);
});

test("recomputing blocks gives the same gradients", async () => {
  const model = llama.create(llama.readConfig({ ...config, attention_dropout: 0.5 }), init);
  const gradients = async (recompute: boolean): Promise<number[][]> => {
    const hidden = model.forward(ids([1, 2, 3, 4], [2, 2]), { random: new Random(5), recompute });
    hidden
      .mul(Tensor.from(exact, new Random(6).normal(hidden.size), hidden.shape))
      .sum()
      .backward();
    const all = [...parameters(model).values()];
    const read = await Promise.all(all.map(async ({ grad }) => [...((await grad?.read()) ?? [])]));
    for (const parameter of all) parameter.grad = null;
    return read;
  };
  expect(await gradients(true)).toEqual(await gradients(false));
});

test("both spellings of rotary settings are read", () => {
  const keys = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64 };
  const scaling = { kind: "llama3", factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 64 };
  const older = { ...config, rope_theta: 5e5, rope_scaling: { rope_type: "llama3", ...keys } };
  const { attention } = llama.readConfig(older);
  expect(attention).toEqual([{ window: null, rotary: { base: 5e5, turned: 4, scaling } }]);
  const { rope_theta: _, rope_scaling: __, ...rest } = older;
  const newer = { ...rest, rope_parameters: { rope_type: "llama3", rope_theta: 5e5, ...keys } };
  expect(llama.readConfig(newer).attention).toEqual(attention);
  expect(llama.writeConfig(llama.readConfig(newer), { endOfText: 3 })).toEqual(newer);
});

test.each([
  [{ rope_scaling: { rope_type: "dynamic", factor: 2 } }, "config.json: rope_scaling.rope_type"],
  [{ rope_scaling: { rope_type: "llama3", factor: 2 } }, "a key that this type of scaling needs is missing"],
  [{ pretraining_tp: 2 }, "config.json: pretraining_tp is 2"],
  [{ hidden_act: "mish" }, 'config.json: hidden_act is "mish"'],
  [{ vocab_size: undefined }, "config.json: vocab_size is"],
])("a config with %j is refused", (change, message) => {
  expect(() => llama.readConfig({ ...config, ...change })).toThrow(CheckpointError);
  expect(() => llama.readConfig({ ...config, ...change })).toThrow(message);
});

test("what cannot be built or read is refused", () => {
  expect(() => llama.shaped({ ...shape, heads: 3 })).toThrow(SettingsError);
  expect(() => llama.create({ ...llama.shaped(shape), keyValueHeads: 3 }, init)).toThrow(
    new ShapeError("attention: 3 key-value heads do not divide 2 heads"),
  );
  const model = llama.create(llama.shaped(shape), init);
  expect(() => model.forward(ids([1, 2, 3, 4, 5, 6, 7], [1, 7]))).toThrow(
    new ShapeError("llama: position 6 is beyond the context of 6 tokens"),
  );
});
