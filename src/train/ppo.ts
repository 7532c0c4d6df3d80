import { Random } from "../core/random.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { RewardModel } from "../models/reward-model.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { AnswerBatch } from "./answers.ts";
import { answerBatch, answerLogProbs, answerScores, answerValues, readAnswers } from "./answers.ts";
import type { KlControl } from "./kl-controller.ts";
import { nextKlCoefficient } from "./kl-controller.ts";
import type { PredictionBatch } from "./objectives/next-token.ts";
import { nextTokenLoss } from "./objectives/next-token.ts";
import { policyLoss, valueLoss } from "./objectives/ppo.ts";
import { optimizerStep } from "./optimizer-step.ts";
import type { RolloutMetrics } from "./ppo-metrics.ts";
import { PpoTally, rolloutMetrics } from "./ppo-metrics.ts";
import type { RewardShaping, Rollout } from "./ppo-rewards.ts";
import { creditAnswers } from "./ppo-rewards.ts";
import { byTokens, divide, joined, microBatches, seconds } from "./rollouts.ts";
import type { MeasuredLoss, Metrics, MicroBatch } from "./run.ts";
import type { AnswerSampling } from "./sample-answers.ts";
import { sampleAnswers } from "./sample-answers.ts";

/** Everything that learning by PPO needs, already built. Only `klCoefficient` and the trained weights change. */
export interface Ppo {
  /** Answers, and learns to. */
  readonly actor: LanguageModel;
  /** What the actor was at the start; frozen. */
  readonly reference: LanguageModel;
  /** Learns what to expect from an unfinished answer. */
  readonly critic: RewardModel;
  /** Judges finished answers; frozen. */
  readonly reward: RewardModel;
  readonly actorOptimizer: Optimizer;
  readonly criticOptimizer: Optimizer;
  /** Learning rates of an iteration. */
  readonly actorSchedule: (step: number) => number;
  readonly criticSchedule: (step: number) => number;
  /** The prompts of an iteration: a function of its number alone. */
  readonly prompts: (step: number) => readonly Int32Array[];
  /** Pretraining text for one update, a batch for each micro-batch of answers, or null without. */
  readonly pretraining: ((update: number, microBatches: number) => readonly PredictionBatch[]) | null;
  readonly settings: PpoSettings;
  /** β of the next iteration. */
  klCoefficient: number;
}

/** Constants of {@link Ppo}. */
export interface PpoSettings extends RewardShaping {
  readonly sampling: Omit<AnswerSampling, "seed">;
  readonly kl: KlControl;
  /** Passes over the answers of an iteration. */
  readonly ppoEpochs: number;
  /** Updates in a pass. */
  readonly miniBatches: number;
  /** Answers that go through a model at once. */
  readonly batchSize: number;
  readonly policyClip: number;
  readonly valueClip: number;
  /** γ: weight of the pretraining loss. */
  readonly pretrainCoefficient: number;
  readonly maxGradientNorm: number;
  readonly seed: number;
  /** Computes each block twice instead of keeping its activations. */
  readonly recompute: boolean;
}

/** Answers of one iteration and how long it took to get them, in seconds. */
export interface RolledOut {
  readonly rollouts: readonly Rollout[];
  readonly metrics: RolloutMetrics;
  readonly sampling: number;
  readonly judging: number;
}

/**
 * First half of an iteration of PPO: the actor answers prompts, four models look at the answers, and what they say
 * becomes a reward and an advantage for each token. Changes nothing; all randomness follows from the seed and the
 * iteration's number.
 *
 * @throws {NumericalError} when a score is not finite.
 * @throws {unknown} the reason of `signal` when that is aborted.
 */
export async function rollOut(ppo: Ppo, step: number, signal?: AbortSignal): Promise<RolledOut> {
  const { actor, reference, critic, reward, settings } = ppo;
  const { temperature } = settings.sampling.sampling;
  const start = performance.now();
  const seed = randomOf(ppo, step).child(0).reader().word();
  const answers = await sampleAnswers(actor, ppo.prompts(step), { ...settings.sampling, seed, signal });
  const sampled = performance.now();

  const read = (compute: (batch: AnswerBatch) => Tensor) => readAnswers(answers, settings.batchSize, compute, signal);
  const logProbs = await read((batch) => answerLogProbs(actor, batch, { temperature }));
  const referenceLogProbs = await read((batch) => answerLogProbs(reference, batch, { temperature }));
  const values = await read((batch) => answerValues(critic, batch));
  const scores = await read((batch) => answerScores(reward, batch));

  const none = new Float32Array();
  const judged = answers.map((answer, i) => ({
    ...answer,
    logProbs: logProbs[i] ?? none,
    referenceLogProbs: referenceLogProbs[i] ?? none,
    values: values[i] ?? none,
    score: scores[i]?.[0] ?? Number.NaN,
  }));
  const rollouts = await creditAnswers(actor.backend, judged, ppo.klCoefficient, settings);
  const metrics = rolloutMetrics(rollouts, ppo.klCoefficient);
  return { rollouts, metrics, sampling: seconds(start, sampled), judging: seconds(sampled) };
}

/**
 * Second half: actor and critic learn from the answers, several times over, to maximise
 * E[r(x, y) − β log(π(y|x) / π₀(y|x))] + γ E_pretraining[log π(x)]; then the leash β is tightened or loosened.
 *
 * @returns every metric of the iteration.
 * @see Ouyang et al. (2022), equation 2, arXiv:2203.02155; Schulman et al. (2017), algorithm 1, arXiv:1707.06347.
 * @throws {NumericalError} when a loss or a gradient is not finite.
 * @throws {unknown} the reason of `signal` when that is aborted; earlier updates have changed weights and optimizers then.
 */
export async function learnFrom(ppo: Ppo, step: number, rolled: RolledOut, signal?: AbortSignal): Promise<Metrics> {
  const { settings } = ppo;
  const { rollouts, sampling, judging } = rolled;
  const start = performance.now();
  const tally = new PpoTally();
  for (let epoch = 0; epoch < settings.ppoEpochs; epoch++) {
    const order = randomOf(ppo, step)
      .child(1 + epoch)
      .permutation(rollouts.length);
    for (const [index, miniBatch] of divide(order, settings.miniBatches).entries()) {
      const update = (step * settings.ppoEpochs + epoch) * settings.miniBatches + index;
      const some = Array.from(miniBatch, (i) => rollouts[i] as Rollout);
      tally.add(await learn(ppo, { step, update }, some, signal));
    }
  }
  const kl = rolled.metrics["objective/kl"];
  ppo.klCoefficient = nextKlCoefficient(ppo.klCoefficient, kl, rollouts.length, settings.kl);
  const learning = seconds(start);
  return {
    eps: rollouts.length / (sampling + judging + learning),
    ...rolled.metrics,
    ...tally.means(),
    lr: ppo.actorSchedule(step),
    ...{ "time/sampling": sampling, "time/judging": judging, "time/learning": learning },
  };
}

function randomOf({ settings }: Ppo, step: number): Random {
  return new Random(settings.seed).child(step);
}

/** One update of the actor and one of the critic, on the same answers. */
async function learn(
  ppo: Ppo,
  { step, update }: { readonly step: number; readonly update: number },
  rollouts: readonly Rollout[],
  signal?: AbortSignal,
): Promise<Metrics> {
  const { settings } = ppo;
  const micro = microBatches(rollouts, settings.batchSize, byTokens);
  const text = ppo.pretraining?.(update, micro.length) ?? [];
  const share = settings.pretrainCoefficient / Math.max(text.length, 1);
  const actorBatches: MicroBatch<Rollout[] | PredictionBatch>[] = [
    ...micro,
    ...text.map((batch) => ({ batch, share, tokens: batch.inputs.length })),
  ];
  const common = { maxGradientNorm: settings.maxGradientNorm, seed: settings.seed };
  const policy = await optimizerStep(
    {
      ...{ ...common, name: "actor", model: ppo.actor, optimizer: ppo.actorOptimizer, schedule: ppo.actorSchedule },
      batches: () => actorBatches,
      objective: (model, batch) =>
        Array.isArray(batch) ? policyObjective(model, batch, settings) : pretrainingObjective(model, batch, settings),
    },
    step,
    signal,
  );
  const value = await optimizerStep(
    {
      ...{ ...common, name: "critic", model: ppo.critic, optimizer: ppo.criticOptimizer, schedule: ppo.criticSchedule },
      batches: () => micro,
      objective: (model, batch) => valueObjective(model, batch, settings),
    },
    step,
    signal,
  );
  const pretrain = policy["loss/pretrain"];
  return {
    ...policy,
    ...value,
    ...(pretrain === undefined ? {} : { "loss/pretrain": pretrain / settings.pretrainCoefficient }),
    "policy/grad_norm": policy.grad_norm ?? 0,
    "value/grad_norm": value.grad_norm ?? 0,
  };
}

function policyObjective(
  actor: LanguageModel,
  rollouts: readonly Rollout[],
  { policyClip: clip, recompute, sampling }: PpoSettings,
): MeasuredLoss {
  const { temperature } = sampling.sampling;
  const batch = answerBatch(rollouts);
  const entropy = Tensor.empty(actor.backend, [batch.tokens.length]);
  const measures = { entropy, meanLogits: null };
  const logProbs = answerLogProbs(actor, batch, { temperature, measures, recompute });
  const terms = {
    logProbs,
    oldLogProbs: joined(actor, rollouts, ({ logProbs }) => logProbs),
    advantages: joined(actor, rollouts, ({ advantages }) => advantages),
  };
  const { loss, clipFraction, approximateKl, meanRatio } = policyLoss(terms, clip);
  const metrics = {
    "loss/policy_avg": loss,
    "policy/clipfrac_avg": clipFraction,
    "policy/approxkl_avg": approximateKl,
    "policy/entropy_avg": entropy.mean(),
    "val/ratio": meanRatio,
  };
  return { loss, metrics };
}

function pretrainingObjective(actor: LanguageModel, text: PredictionBatch, { recompute }: PpoSettings): MeasuredLoss {
  const loss = nextTokenLoss(actor, text, null, { recompute });
  return { loss, metrics: { "loss/pretrain": loss } };
}

function valueObjective(
  critic: RewardModel,
  rollouts: readonly Rollout[],
  { valueClip: clip, recompute }: PpoSettings,
): MeasuredLoss {
  const terms = {
    values: answerValues(critic, answerBatch(rollouts), recompute),
    oldValues: joined(critic, rollouts, ({ values }) => values),
    returns: joined(critic, rollouts, ({ returns }) => returns),
  };
  const { loss, clipFraction } = valueLoss(terms, clip);
  return { loss, metrics: { "loss/value_avg": loss, "val/clipfrac_avg": clipFraction } };
}
