import type { PaddedBatch } from "../data/padded-batch.ts";
import { paddedBatch } from "../data/padded-batch.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { RewardModel } from "../models/reward-model.ts";
import type { ForwardOptions } from "../nn/attention.ts";
import { asInTraining } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { PredictionOptions } from "./objectives/token-log-probs.ts";
import { predictedLogProbs } from "./objectives/token-log-probs.ts";

/** Token ids of a prompt and of an answer to it, its end token included. Neither is empty. */
export interface Answered {
  readonly prompt: Int32Array;
  readonly answer: Int32Array;
}

/**
 * Prompts with their answers, ready for a model. The tokens of all answers lie behind each other without padding:
 * "tokens" below is their number.
 */
export interface AnswerBatch extends PaddedBatch {
  /** `[tokens]`: place in the batch of the state that each token was chosen in, the one before it: b · time + t. */
  readonly places: Int32Array;
  /** `[batch]`: place of the last token of each answer. */
  readonly lastPlaces: Int32Array;
  /** `[tokens]` */
  readonly tokens: Int32Array;
  /** `[batch]`: tokens of each answer. */
  readonly answerLengths: Int32Array;
}

/** Puts prompts and answers into one block. */
export function answerBatch(answers: readonly Answered[]): AnswerBatch {
  const block = paddedBatch(answers.map(({ prompt, answer }) => Int32Array.of(...prompt, ...answer)));
  const places = answers.flatMap(({ prompt, answer }, b) =>
    Array.from(answer, (_, t) => b * block.time + prompt.length - 1 + t),
  );
  return {
    ...block,
    places: Int32Array.from(places),
    lastPlaces: block.lengths.map((length, b) => b * block.time + length - 1),
    tokens: Int32Array.from(answers.flatMap(({ answer }) => [...answer])),
    answerLengths: Int32Array.from(answers, ({ answer }) => answer.length),
  };
}

/** How answers go through a model. */
export interface AnswerReading extends PredictionOptions, Pick<ForwardOptions, "recompute"> {}

/** log π of each token of the answers, `[tokens]`. */
export function answerLogProbs(
  model: LanguageModel,
  batch: AnswerBatch,
  { recompute = false, ...options }: AnswerReading = {},
): Tensor {
  const hidden = model.forward(idsOf(model, batch), { recompute }).reshape([batch.batch * batch.time, -1]);
  const states = hidden.gatherRows(Tensor.from(model.backend, batch.places, [batch.places.length]));
  return predictedLogProbs(model, states, Tensor.from(model.backend, batch.tokens, [batch.tokens.length]), options);
}

/** {@link answerLogProbs}, and beside them the mean logit of each token's state, `[tokens]`, off the tape. */
export function watchedLogProbs(
  model: LanguageModel,
  batch: AnswerBatch,
  options: AnswerReading = {},
): { logProbs: Tensor; meanLogits: Tensor } {
  const meanLogits = Tensor.empty(model.backend, [batch.tokens.length]);
  return {
    logProbs: answerLogProbs(model, batch, { ...options, measures: { entropy: null, meanLogits } }),
    meanLogits,
  };
}

/** What a critic expects from each state that a token was chosen in, `[tokens]`. */
export function answerValues(critic: RewardModel, batch: AnswerBatch, recompute = false): Tensor {
  return critic.scores(idsOf(critic, batch), batch.places, { recompute });
}

/** Reward of each answer as a whole, `[batch]`. */
export function answerScores(model: RewardModel, batch: AnswerBatch, recompute = false): Tensor {
  return model.scores(idsOf(model, batch), batch.lastPlaces, { recompute });
}

/** Σ over the tokens of each answer: `[tokens]` → `[batch]`. */
export function sumOverAnswers(values: Tensor, { answerLengths }: AnswerBatch): Tensor {
  const longest = answerLengths.reduce((a, b) => Math.max(a, b), 1);
  const rows = new Int32Array(answerLengths.length * longest).fill(-1); // a negative row gives zero
  let next = 0;
  answerLengths.forEach((length, b) => {
    for (let t = 0; t < length; t++) rows[b * longest + t] = next++;
  });
  const table = values.reshape([-1, 1]);
  return table
    .gatherRows(Tensor.from(values.backend, rows, [rows.length]))
    .reshape([answerLengths.length, longest])
    .sum(-1);
}

/** Mean over the tokens of each answer: `[tokens]` → `[batch]`. */
export function meanOverAnswers(values: Tensor, batch: AnswerBatch): Tensor {
  const sums = sumOverAnswers(values, batch);
  const shares = Float32Array.from(batch.answerLengths, (length) => 1 / length);
  return sums.mul(Tensor.from(sums.backend, shares, sums.shape));
}

/**
 * Runs `compute` over answers, `batchSize` at a time and without gradients, and gives the numbers of each answer: one
 * for each of its tokens, or one.
 *
 * @throws {unknown} the reason of `signal` when that is aborted.
 */
export async function readAnswers(
  answers: readonly Answered[],
  batchSize: number,
  compute: (batch: AnswerBatch) => Tensor,
  signal?: AbortSignal,
): Promise<Float32Array[]> {
  const all: Float32Array[] = [];
  for (let first = 0; first < answers.length; first += batchSize) {
    signal?.throwIfAborted();
    const batch = answerBatch(answers.slice(first, first + batchSize));
    const result = asInTraining(() => tensorScope(() => compute(batch)));
    const values = await result.floats();
    result.release();
    const isPerToken = values.length === batch.tokens.length && values.length !== batch.batch;
    let start = 0;
    for (const length of batch.answerLengths) {
      const count = isPerToken ? length : 1;
      all.push(values.slice(start, start + count));
      start += count;
    }
  }
  return all;
}

function idsOf({ backend }: Pick<Tensor, "backend">, { ids, batch, time }: PaddedBatch): Tensor {
  return Tensor.from(backend, ids, [batch, time]);
}
