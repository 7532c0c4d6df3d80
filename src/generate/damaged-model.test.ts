import { expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { NumericalError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { bert } from "../models/bert-families.ts";
import { gpt2 } from "../models/gpt-families.ts";
import { Initializer, parameters } from "../nn/parameters.ts";
import { fillIn } from "./fill-in.ts";
import { score } from "./score.ts";

const backend = openReference();
const shape = { vocabularySize: 11, context: 6, width: 8, layers: 1, heads: 2, dropout: 0 };
const init = new Initializer(backend, new Random(1));

function damage<Model extends object>(model: Model): Model {
  for (const parameter of parameters(model).values())
    parameter.write(new Float32Array(parameter.size).fill(Number.NaN));
  return model;
}

test("a model that computes no numbers gives no score", async () => {
  const model = damage(gpt2.create(gpt2.shaped(shape), init));
  await expect(score(model, [1, 2, 3])).rejects.toThrow(NumericalError);
});

test("a model that computes no numbers fills in nothing", async () => {
  const model = damage(bert.create(bert.shaped(shape), init));
  const filled = fillIn(model, Int32Array.of(1, 2, 3), new Int32Array(3), { mask: 2, isWord: () => true });
  await expect(filled).rejects.toThrow("gives NaN instead of probabilities");
});
