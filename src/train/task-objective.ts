import { mostOf } from "../core/most-of.ts";
import type { Random } from "../core/random.ts";
import type { EncodedExample, TaskBatch } from "../data/task-inputs.ts";
import { taskBatch } from "../data/task-inputs.ts";
import type { ReadingOptions, TaskModel, TaskStates } from "../models/task-model.ts";
import { asInTraining } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { classificationLoss } from "./objectives/classification.ts";
import { tokenLoss } from "./objectives/next-token.ts";
import { choiceLogits, scoreLoss, sumOfOrders } from "./objectives/task-losses.ts";
import { trainedRows } from "./objectives/trained-rows.ts";
import type { MeasuredLoss } from "./run.ts";

/**
 * The loss of a task and, with a weight λ, that of a language model on the same inputs:
 * L₃(C) = L₂(C) + λ · L₁(C), both means, over examples and over tokens.
 *
 * @see Radford et al. (2018), equations 3 to 5.
 */
export function taskObjective(
  model: TaskModel,
  batch: TaskBatch,
  random: Random | null,
  languageModelWeight: number,
  options: ReadingOptions = {},
): MeasuredLoss {
  const states = model.read(batch, random, options);
  const outputs = taskOutputs(model, batch, states, random);
  const loss = outputLoss(model, outputs, batch.targets);
  const metrics = { task_loss: loss };
  if (languageModelWeight === 0) return { loss, metrics };
  const languageModel = inputsLoss(model, batch, states);
  return {
    loss: loss.add(languageModel.mul(languageModelWeight)),
    metrics: { ...metrics, language_model_loss: languageModel },
  };
}

/**
 * What the model says of each example: logits of classes `[examples, classes]`, of answers `[examples, answers]`, or
 * scores `[examples, 1]`.
 */
export function taskOutputs(
  model: TaskModel,
  { inputCounts }: TaskBatch,
  { summaries }: TaskStates,
  random: Random | null,
): Tensor {
  const { task } = model.description;
  const answers = model.answer(task === "similarity" ? sumOfOrders(summaries) : summaries, random);
  return task === "multiple-choice" ? choiceLogits(answers, inputCounts) : answers;
}

function outputLoss({ description }: TaskModel, outputs: Tensor, targets: Float32Array): Tensor {
  const isScore = description.labels.length === 0 && description.task !== "multiple-choice";
  return isScore ? scoreLoss(outputs.reshape([-1]), targets) : classificationLoss(outputs, Int32Array.from(targets));
}

/** Next-token prediction over the inputs, the special tokens among them. */
function inputsLoss({ languageModel }: TaskModel, { ids, lengths, time }: TaskBatch, { hidden }: TaskStates): Tensor {
  if (!languageModel) throw new Error("internal: the body predicts no next token");
  const targets = ids.map((_, i) => ((i % time) + 1 < (lengths[Math.floor(i / time)] ?? 0) ? (ids[i + 1] ?? -1) : -1));
  return tokenLoss(languageModel, trainedRows(hidden, targets));
}

/**
 * What the model says of each example, a few at a time and without gradients, in the order of the examples; those of
 * like length go through together. A row is the outputs of {@link taskOutputs}.
 *
 * @throws {unknown} the reason of `signal` when that is aborted.
 */
export async function readTask(
  model: TaskModel,
  examples: readonly EncodedExample[],
  batchSize: number,
  signal?: AbortSignal,
): Promise<Float32Array[]> {
  const longest = ({ inputs }: EncodedExample): number => mostOf(inputs, ({ ids }) => ids.length);
  const order = [...examples.entries()].sort(([, a], [, b]) => longest(a) - longest(b));
  const rows: Float32Array[] = [];
  for (let first = 0; first < order.length; first += batchSize) {
    signal?.throwIfAborted();
    const some = order.slice(first, first + batchSize);
    const batch = taskBatch(some.map(([, example]) => example));
    const outputs = asInTraining(() => tensorScope(() => taskOutputs(model, batch, model.read(batch, null), null)));
    const values = await outputs.floats();
    const width = outputs.axis(1);
    outputs.release();
    for (const [i, [index, { inputs }]] of some.entries()) {
      const count = model.description.task === "multiple-choice" ? inputs.length : width;
      rows[index] = values.slice(i * width, i * width + count);
    }
  }
  return rows;
}
