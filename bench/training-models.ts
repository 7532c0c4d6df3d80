import type { Backend } from "../src/backend/kernels.ts";
import { Random } from "../src/core/random.ts";
import type { MaskedBatch } from "../src/data/masked-words.ts";
import type { TextPairs } from "../src/data/span-corruption.ts";
import { ignoredTarget } from "../src/data/windows.ts";
import { bert } from "../src/models/bert-families.ts";
import { llama } from "../src/models/decoders/llama.ts";
import { mixtral } from "../src/models/decoders/mixtral.ts";
import { t5 } from "../src/models/encoder-decoders/t5.ts";
import { gpt2 } from "../src/models/gpt-families.ts";
import type { LanguageModel } from "../src/models/language-model.ts";
import { lstm } from "../src/models/lstm-family.ts";
import { Initializer } from "../src/nn/parameters.ts";
import type { Tensor } from "../src/tensor/tensor.ts";
import { maskedWordsLoss } from "../src/train/objectives/masked-words.ts";
import type { PredictionBatch } from "../src/train/objectives/next-token.ts";
import { trainingLoss } from "../src/train/objectives/next-token.ts";
import { textToTextLoss } from "../src/train/objectives/text-to-text.ts";
import type { MeasuredLoss } from "../src/train/run.ts";
import type { TrainingShape } from "./shapes.ts";

/** A model and its loss on one random batch. */
export interface TrainedModel {
  readonly model: object;
  readonly loss: () => Tensor | MeasuredLoss;
}

/** The model of a shape, with a batch to train it on. */
export function trainedModel(shape: TrainingShape, backend: Backend): TrainedModel {
  const { batch: _, vocabulary: vocabularySize, ...rest } = shape;
  const sizes = { ...rest, vocabularySize, dropout: 0 };
  const init = new Initializer(backend, new Random(1));
  switch (shape.model) {
    case "bert": {
      const model = bert.create(bert.shaped(sizes), init);
      const batch = maskedBatch(shape, shape.masked);
      return { model, loss: () => maskedWordsLoss(model, batch, null) };
    }
    case "t5": {
      const model = t5.create({ ...t5.shaped(sizes), hidden: shape.hidden }, init);
      const pairs = textPairs(shape, shape.targetTime);
      return { model, loss: () => textToTextLoss(model, pairs, null) };
    }
    case "gpt2":
      return decoder(gpt2.create(gpt2.shaped(sizes), init), shape);
    case "lstm":
      return decoder(lstm.create(lstm.shaped(sizes), init), shape);
    case "llama": {
      const { hidden, keyValueHeads } = shape;
      return decoder(llama.create({ ...llama.shaped(sizes), hidden, keyValueHeads }, init), shape);
    }
    case "mixtral": {
      const { hidden, keyValueHeads, experts } = shape;
      return decoder(mixtral.create({ ...mixtral.shaped(sizes), hidden, keyValueHeads, experts }, init), shape);
    }
  }
}

function decoder(model: LanguageModel, { batch, context: time, vocabulary }: TrainingShape): TrainedModel {
  const tokens: PredictionBatch = {
    inputs: randomIds(batch * time, vocabulary, 2),
    targets: randomIds(batch * time, vocabulary, 3),
    ...{ batch, time },
  };
  return { model, loss: () => trainingLoss(model, tokens, null) };
}

/** Two segments in each sequence, and words masked at even distances. */
function maskedBatch({ batch, context: time, vocabulary }: TrainingShape, masked: number): MaskedBatch {
  const every = Math.floor(time / masked);
  const isMasked = (i: number): boolean => (i % time) % every === 0 && (i % time) / every < masked;
  return {
    inputs: randomIds(batch * time, vocabulary, 2),
    targets: randomIds(batch * time, vocabulary, 3).map((id, i) => (isMasked(i) ? id : ignoredTarget)),
    segments: Int32Array.from({ length: batch * time }, (_, i) => (i % time < time / 2 ? 0 : 1)),
    lengths: new Int32Array(batch).fill(time),
    relationships: Int32Array.from({ length: batch }, (_, i) => i % 2),
    ...{ batch, time },
  };
}

function textPairs({ batch, context: time, vocabulary }: TrainingShape, targetTime: number): TextPairs {
  return {
    inputs: randomIds(batch * time, vocabulary, 2),
    targets: randomIds(batch * targetTime, vocabulary, 3),
    lengths: new Int32Array(batch).fill(time),
    ...{ batch, time, targetTime },
  };
}

function randomIds(count: number, vocabulary: number, seed: number): Int32Array {
  const reader = new Random(seed).reader();
  return Int32Array.from({ length: count }, () => reader.integer(vocabulary));
}
