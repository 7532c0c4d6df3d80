import { expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { exact, leaf, randomTensor, read } from "../../../test/exact.ts";
import { Random } from "../../core/random.ts";
import { families } from "../../models/index.ts";
import type { LanguageModel } from "../../models/language-model.ts";
import { freeze, Initializer } from "../../nn/parameters.ts";
import { distillationLoss, divergences } from "./distillation.ts";

const newModel = (seed: number, width: number, vocabularySize: number): LanguageModel => {
  const shape = { vocabularySize, context: 8, width, layers: 1, heads: 2, dropout: 0 };
  return families.gpt2.create(
    { ...families.gpt2.shaped(shape), initializerRange: 0.5 },
    new Initializer(exact, new Random(seed)),
  );
};
const options = { divergence: "jsd", beta: 0.3, temperature: 2 } as const;

test("chunks of a few rows have the loss and the gradients of all at once, over the tokens that both models have", async () => {
  const teacher = { model: freeze(newModel(2, 12, 14)), hidden: randomTensor([10, 12], 4) };
  const taught = async (elements: number): Promise<number[][]> => {
    const model = newModel(1, 8, 11);
    const hidden = leaf(randomTensor([10, 8], 3));
    const loss = distillationLoss({ model, hidden }, teacher, options, elements);
    loss.backward();
    return [await read(loss), await read(hidden.grad), await read(model.outputWeight.grad)];
  };
  const whole = await taught(1e6);
  for (const [i, part] of (await taught(3 * 14)).entries()) expectClose(part, whole[i] ?? []);
  const logits = teacher.model.logits(teacher.hidden).slice(1, 0, 11);
  const plain = divergences(newModel(1, 8, 11).logits(randomTensor([10, 8], 3)), logits, options).mean();
  expectClose(whole[0] ?? [], await read(plain));
  expect(teacher.model.outputWeight.grad).toBeNull();
});

test("a distribution that a model is certain of gives no NaN", async () => {
  const [sure, other] = [randomTensor([2, 5], 1).mul(300), randomTensor([2, 5], 2).mul(300)];
  for (const divergence of ["forward", "reverse", "jsd"] as const) {
    const student = leaf(other.mul(1));
    const loss = divergences(student, sure, { ...options, divergence }).sum();
    loss.backward();
    for (const value of [...(await read(loss)), ...(await read(student.grad))])
      expect(value).toSatisfy(Number.isFinite);
  }
});
