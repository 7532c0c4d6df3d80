import type { Random } from "../../core/random.ts";
import type { Packing } from "../../data/chat-rows.ts";
import type { TokenBatch } from "../../data/windows.ts";
import type { LanguageModel, RecurrentModel } from "../../models/language-model.ts";
import type { ForwardOptions } from "../../nn/attention.ts";
import type { LstmState } from "../../nn/lstm-layer.ts";
import { apply } from "../../tensor/op.ts";
import { biasedCrossEntropy, linearCrossEntropy } from "../../tensor/ops/cross-entropy.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { MeasuredLoss } from "../run.ts";
import { predictedLogProbs } from "./token-log-probs.ts";
import type { TrainedRows } from "./trained-rows.ts";
import { trainedRows } from "./trained-rows.ts";

/** Token ids of a batch and, for each, the token that follows; perhaps several texts a row, or a prefix read at once. */
export interface PredictionBatch extends TokenBatch {
  /** Where rows hold several texts that must not see each other. */
  readonly packing?: Packing;
  /** `[batch]`: leading tokens of each row that all see each other. */
  readonly prefixLengths?: Int32Array;
}

type LossOptions = Pick<ForwardOptions, "recompute">;

/**
 * Next-token prediction: L = −1/n Σᵢ log p(uᵢ | u₁ … uᵢ₋₁), in nats, over the n targets that are not negative. Hidden
 * states that have no target do not go through the output layer.
 *
 * @see Radford et al. (2018), equation 1.
 */
export function nextTokenLoss(
  model: LanguageModel,
  tokens: PredictionBatch,
  random: Random | null,
  options: LossOptions = {},
): Tensor {
  return tokenLoss(model, trainedStates(model, tokens, random, options));
}

/** The hidden states of a batch that have something to predict, as the output layer is to read them. */
export function trainedStates(
  model: LanguageModel,
  tokens: PredictionBatch,
  random: Random | null,
  options: LossOptions = {},
): TrainedRows {
  const hidden = model.forward(idsOf(model, tokens), { ...options, ...visibility(tokens), random });
  return trainedRows(hidden, tokens.targets);
}

/**
 * log p(target | tokens before it) of each target of a batch, in nats, and 0 where the target is negative: what losses
 * and measures of one's own are made from.
 *
 * Shapes: → `[batch · time]`.
 */
export function targetLogProbs(model: LanguageModel, tokens: PredictionBatch, random: Random | null = null): Tensor {
  const hidden = model.forward(idsOf(model, tokens), { ...visibility(tokens), random });
  const { targets } = tokens;
  const rows = hidden.reshape([targets.length, -1]);
  return predictedLogProbs(model, rows, Tensor.from(model.backend, targets, [targets.length]));
}

/**
 * {@link nextTokenLoss} to train by: plus the penalty of a model that has one ({@link LanguageModel.forwardTraining}).
 * Its parts are among the metrics.
 */
export function trainingLoss(
  model: LanguageModel,
  tokens: PredictionBatch,
  random: Random | null,
  options: LossOptions = {},
): MeasuredLoss {
  if (!model.forwardTraining) return { loss: nextTokenLoss(model, tokens, random, options), metrics: {} };
  const pass = model.forwardTraining(idsOf(model, tokens), { ...options, ...visibility(tokens), random });
  const predictions = tokenLoss(model, trainedRows(pass.hidden, tokens.targets));
  if (pass.penalty === null) return { loss: predictions, metrics: pass.metrics };
  return { loss: predictions.add(pass.penalty), metrics: { next_token_loss: predictions, ...pass.metrics } };
}

/**
 * {@link nextTokenLoss} of windows that go on from a state, and the state after them. No gradient flows into the state:
 * backpropagation through time is cut between windows.
 */
export function continuedLoss(
  model: RecurrentModel,
  tokens: TokenBatch,
  before: readonly LstmState[],
  random: Random | null,
): { readonly loss: Tensor; readonly state: readonly LstmState[] } {
  const { hidden, state } = model.readOn(idsOf(model, tokens), before, { random });
  return { loss: tokenLoss(model, trainedRows(hidden, tokens.targets)), state };
}

function idsOf({ backend }: LanguageModel, { inputs, batch, time }: PredictionBatch): Tensor {
  return Tensor.from(backend, inputs, [batch, time]);
}

/** What tokens see beside those before them, or less than those. */
function visibility({ packing, prefixLengths }: PredictionBatch): Pick<ForwardOptions, "positions" | "mask"> {
  if (packing) return { positions: packing.positions, mask: { causal: true, firstKeys: packing.firstKeys } };
  return prefixLengths ? { mask: { causal: true, prefixLengths } } : {};
}

/** Cross-entropy of the output layer on hidden states that have targets. */
export function tokenLoss(
  { outputWeight, outputBias, logitCap = null }: Pick<LanguageModel, "outputWeight" | "outputBias" | "logitCap">,
  { hidden, targets, scale }: TrainedRows,
): Tensor {
  const attrs = { targets, scale, cap: logitCap };
  return outputBias
    ? apply(biasedCrossEntropy, [hidden, outputWeight, outputBias], attrs)
    : apply(linearCrossEntropy, [hidden, outputWeight], attrs);
}
