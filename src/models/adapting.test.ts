import { expect, test } from "vitest";
import { openReference } from "../backend/reference/index.ts";
import { Random } from "../core/random.ts";
import { Initializer, parameters } from "../nn/parameters.ts";
import { freezeBottom } from "./freeze-bottom.ts";
import { families, otherFamilies } from "./index.ts";
import { adapt } from "./low-rank-adapters.ts";
import { adapterContents } from "./write-adapters.ts";

const shape = { vocabularySize: 7, context: 8, width: 8, layers: 2, heads: 2, dropout: 0 };
const init = new Initializer(openReference(), new Random(1));
const newGpt = () => families.gpt2.create(families.gpt2.shaped(shape), init);
const newLstm = () => families.lstm.create(families.lstm.shaped(shape), init);
const trained = (model: object): string[] =>
  [...parameters(model)].filter(([, { requiresGrad }]) => requiresGrad).map(([name]) => name);

test("the bottom is embeddings and the first blocks", () => {
  const model = newGpt();
  expect(() => freezeBottom(model, 99)).toThrow(/the model has \d blocks, 99 cannot be frozen/);
  freezeBottom(model, 1);
  expect(trained(model).filter((name) => !name.startsWith("blocks.1."))).toEqual(["finalNorm.gain", "finalNorm.bias"]);
});

test("nothing below the frozen blocks is trained, so that no gradient goes through them", () => {
  const { body } = otherFamilies.bert.create(otherFamilies.bert.shaped(shape), init);
  freezeBottom(body, 1);
  expect(trained(body).filter((name) => !name.startsWith("blocks.1."))).toEqual(["pooler.weight", "pooler.bias"]);
});

test("only adapters of attention are trained", () => {
  const model = newGpt();
  adapt(model, { rank: 2, alpha: 4, targets: "attention" }, new Random(2));
  expect(trained(model)).toHaveLength(2 * 2 * 2);
  expect(trained(model).every((name) => /attention\.\w+\.adapter\./.test(name))).toBe(true);
});

test("a rank above that of a matrix is refused, and the model is trained as before", () => {
  const model = newGpt();
  const before = trained(model);
  const options = { alpha: 4, targets: "attention" } as const;
  expect(() => adapt(model, { ...options, rank: 9 }, new Random(2))).toThrow(
    "lora-rank: 9 is above 8, the smallest side of a matrix it would change; choose 8 or less",
  );
  expect(trained(model)).toEqual(before);
  adapt(model, { ...options, rank: 8 }, new Random(2));
});

test("PEFT finds the matrices by ends of names that no other module has", () => {
  const { bert } = otherFamilies;
  const targetsOf = (targets: "attention" | "all"): unknown => {
    const model = bert.create(bert.shaped(shape), init);
    adapt(model.body, { rank: 2, alpha: 4, targets }, new Random(2));
    const about = { ...{ rank: 2, alpha: 4, targets }, base: "base", taskType: "SEQ_CLS" } as const;
    return adapterContents(bert.tensors(model), model.body, about, [], []).config.target_modules;
  };
  const attention = ["self.query", "self.key", "self.value", "attention.output.dense"];
  expect(targetsOf("attention")).toEqual(attention);
  const all = ["self.query", "self.key", "self.value", "output.dense", "intermediate.dense", "pooler.dense"];
  expect(targetsOf("all")).toEqual(all);
});

test("a model without blocks or layers to adapt says so, and is trained as before", () => {
  const model = newLstm();
  const before = trained(model);
  expect(() => freezeBottom(model, 1)).toThrow(/freeze-layers: this model has no blocks to freeze/);
  expect(trained(model)).toEqual(before);
  expect(() => adapt(newLstm(), { rank: 2, alpha: 4, targets: "all" }, new Random(2))).toThrow(/no layer to adapt/);
});
