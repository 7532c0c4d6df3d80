import { expect, test } from "vitest";
import { shapes, stepFlops, stepTokens } from "../../bench/shapes.ts";
import { trainedModel } from "../../bench/training-models.ts";
import { CountingBackend } from "../../src/backend/counting/index.ts";
import type { BertForPretraining } from "../../src/models/bert.ts";
import type { EncoderDecoder } from "../../src/models/encoder-decoder.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import {
  encoderOperationsPerToken,
  operationsPerToken,
  textToTextOperationsPerToken,
} from "../../src/models/operations.ts";
import { Tensor } from "../../src/tensor/tensor.ts";

const { L: _, ...small } = shapes; // its weights alone take ten seconds to draw
const names = Object.keys(small) as (keyof typeof small)[];

test.each(names)("%s: what is said of a training step is what its code computes", (name) => {
  const shape = shapes[name];
  const backend = new CountingBackend();
  const { model, loss } = trainedModel(shape, backend);
  const result = loss();
  (result instanceof Tensor ? result : result.loss).backward();
  const { operations } = backend.counts();
  expect(stepFlops(shape) / operations).toBeCloseTo(1, 1);
  const perToken =
    shape.model === "t5"
      ? textToTextOperationsPerToken(model as EncoderDecoder, shape.context, shape.targetTime)
      : shape.model === "bert"
        ? encoderOperationsPerToken(model as BertForPretraining, shape.context, shape.masked / shape.context)
        : operationsPerToken(model as LanguageModel, shape.context);
  expect((perToken * stepTokens(shape)) / operations).toBeCloseTo(1, 1);
});
