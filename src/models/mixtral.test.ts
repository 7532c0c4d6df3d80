import { expect, test } from "vitest";
import { exact, ids, read } from "../../test/exact.ts";
import { CheckpointError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { Initializer, parameterCount } from "../nn/parameters.ts";
import { llama } from "./decoders/llama.ts";
import { mixtral } from "./decoders/mixtral.ts";

const shape = { vocabularySize: 11, context: 6, width: 8, layers: 1, heads: 2, dropout: 0 };
const init = new Initializer(exact, new Random(1));
const config = {
  ...mixtral.writeConfig(mixtral.shaped(shape), { endOfText: 3 }),
  num_local_experts: 2,
  num_experts_per_tok: 1,
};
const settings = mixtral.readConfig(config);
const model = mixtral.create(settings, init);

test("files hold every expert apart", () => {
  const shapes = Object.fromEntries(mixtral.tensors(model).map(({ name, parameter }) => [name, parameter.shape]));
  const block = "model.layers.0.block_sparse_moe";
  expect(shapes).toMatchObject({
    [`${block}.gate.weight`]: [2, 8],
    [`${block}.experts.0.w1.weight`]: [16, 8],
    [`${block}.experts.1.w2.weight`]: [8, 16],
    [`${block}.experts.1.w3.weight`]: [16, 8],
    "model.layers.0.self_attn.q_proj.weight": [8, 8],
  });
  const stored = mixtral.tensors(model).reduce((count, { parameter }) => count + parameter.size, 0);
  expect(stored).toBe(parameterCount(model));
});

test("a new one has as many weights at work as a Llama of its shape", () => {
  const wide = { ...shape, width: 96 };
  const { hidden, chosenExperts } = mixtral.shaped(wide);
  expect(hidden * chosenExperts).toBe(llama.shaped(wide).hidden);
});

test("training adds the routers' losses, weighted", async () => {
  const tokens = ids([1, 2, 3, 4, 5, 6], [2, 3]);
  const weights = { router_aux_loss_coef: 0.5, router_z_loss_coef: 0.25 };
  const weighted = mixtral.create(mixtral.readConfig({ ...config, ...weights }), init);
  const { hidden, penalty, metrics } = weighted.forwardTraining(tokens);
  expect(await read(hidden)).toEqual(await read(weighted.forward(tokens)));
  const [balance, z] = [await metrics.load_balance_loss?.item(), await metrics.router_z_loss?.item()];
  expect(await penalty?.item()).toBeCloseTo(0.5 * (balance ?? Number.NaN) + 0.25 * (z ?? Number.NaN), 12);
});

test("a config is written as it was read", () => {
  expect(mixtral.writeConfig(settings, { endOfText: 3 })).toEqual(config);
});

test("what a config leaves out is as in the library's own class, not as in Llama's", () => {
  const sizes = {
    vocab_size: 11,
    hidden_size: 64,
    intermediate_size: 16,
    num_hidden_layers: 1,
    num_attention_heads: 16,
  };
  const ofMixtral = { context: 131_072, keyValueHeads: 8, norm: { kind: "rms", epsilon: 1e-5 } };
  expect(mixtral.readConfig(sizes)).toMatchObject(ofMixtral);
  expect(mixtral.readConfig({ ...sizes, num_key_value_heads: null }).keyValueHeads).toBe(16);
  const ofLlama = { context: 2048, keyValueHeads: 16, norm: { kind: "rms", epsilon: 1e-6 } };
  expect(llama.readConfig(sizes)).toMatchObject(ofLlama);
});

test.each([
  [{ router_jitter_noise: 0.1 }, "config.json: router_jitter_noise is 0.1"],
  [
    { num_experts_per_tok: 3 },
    "config.json: num_experts_per_tok is 3; must not be more than num_local_experts; correct the file",
  ],
])("a config with %j is refused", (change, message) => {
  expect(() => mixtral.readConfig({ ...config, ...change })).toThrow(CheckpointError);
  expect(() => mixtral.readConfig({ ...config, ...change })).toThrow(message);
});
