import type { Backend } from "../../backend/kernels.ts";
import { Random } from "../../core/random.ts";
import type { EncodedAnswer } from "../../data/encoded-rankings.ts";
import { defaultColumns } from "../../data/task-examples.ts";
import { taskBatch } from "../../data/task-inputs.ts";
import { Decoder } from "../../generate/decoder.ts";
import type { LanguageModel } from "../../models/language-model.ts";
import { adapt } from "../../models/low-rank-adapters.ts";
import { RewardModel } from "../../models/reward-model.ts";
import { DecoderTaskModel } from "../../models/task-model.ts";
import type { Parameter } from "../../nn/parameters.ts";
import { freeze, Initializer, parameters } from "../../nn/parameters.ts";
import type { AdamW } from "../../optim/adamw.ts";
import { answerLogProbs, answerScores, answerValues, readAnswers } from "../../train/answers.ts";
import { nextTokenLoss } from "../../train/objectives/next-token.ts";
import { optimizerStep } from "../../train/optimizer-step.ts";
import type { Ppo } from "../../train/ppo.ts";
import { learnFrom } from "../../train/ppo.ts";
import type { Rollout } from "../../train/ppo-rewards.ts";
import { dpoObjective } from "../../train/preference-batch.ts";
import { rankingObjective } from "../../train/ranking-batch.ts";
import { taskObjective } from "../../train/task-objective.ts";
import type { MicroBatch, Objective } from "../../train/train.ts";
import { PpoStageSettings } from "../ppo-settings.ts";
import { newOptimizer } from "../train-stage.ts";
import type { PlannedModel } from "./plan-models.ts";

/** Stages that can be planned. */
export const plannedStages = ["pretrain", "finetune", "sft", "reward", "dpo", "ppo"] as const;

/** What a run will do in a step. */
export interface PlannedRun {
  readonly stage: (typeof plannedStages)[number];
  /** Sequences (rows, prompts with two answers, pairs, answers) that go through a model at once. */
  readonly batchSize: number;
  /** Tokens of a sequence; half of them are an answer where there are answers. */
  readonly context: number;
  readonly recompute: boolean;
  readonly freezeBody: boolean;
  /** 0 is off. */
  readonly loraRank: number;
  /** Whether DPO's reference stays in memory beside the policy. */
  readonly keepsReference: boolean;
}

/** Moments of a step at which memory is looked at. */
export type Moment = "weights" | "optimizer" | "forward";

/** Told when a moment has come. */
export type Mark = (moment: Moment) => void;

/** A step that is ready to be made. */
export interface PreparedStep {
  readonly model: LanguageModel;
  /** Numbers that are trained. */
  readonly trained: number;
  /** Tokens that the step learns from. */
  readonly tokens: number;
  step(): Promise<void>;
  /** Gives all memory back. */
  release(): void;
}

/** The token that stands for all. */
const someToken = 1;

/**
 * Builds the models, optimizers and one batch of a stage, with the code that the stage itself runs.
 */
export function prepareStep(backend: Backend, planned: PlannedModel, run: PlannedRun, mark: Mark): PreparedStep {
  const create = (): LanguageModel => planned.family.create(planned.settings, new Initializer(backend, null));
  switch (run.stage) {
    case "pretrain":
    case "sft":
      return languageModelStep(create(), run, mark);
    case "finetune":
      return taskStep(create(), run, mark);
    case "reward":
      return rewardStep(create(), run, mark);
    case "dpo":
      return dpoStep(create(), run.keepsReference ? create() : null, run, mark);
    case "ppo":
      return ppoStep(create, run, mark);
  }
}

function languageModelStep(
  model: LanguageModel,
  { batchSize, context, recompute }: PlannedRun,
  mark: Mark,
): PreparedStep {
  const inputs = new Int32Array(batchSize * context).fill(someToken);
  const batch = { inputs, targets: inputs, batch: batchSize, time: context };
  const objective: Objective<LanguageModel, typeof batch> = (own, some, random) =>
    nextTokenLoss(own, some, random, { recompute });
  return trainingStep(model, model, parameters(model), { objective, batch, tokens: inputs.length }, mark);
}

function taskStep(body: LanguageModel, run: PlannedRun, mark: Mark): PreparedStep {
  const tokens = { start: "", delimiter: "", extract: "" };
  const task = "classification";
  const model = new DecoderTaskModel({ task, labels: ["a", "b"], columns: defaultColumns[task], tokens }, body, null);
  if (run.loraRank > 0) adapt(body, { rank: run.loraRank, alpha: 16, targets: "attention" }, new Random(1));
  else if (run.freezeBody) model.freezeBody(someToken);
  const weight = run.freezeBody ? 0 : 0.5;
  const ids = new Int32Array(run.context).fill(someToken);
  const example = { where: "", inputs: [{ ids, typeIds: new Int32Array(run.context) }], target: 0 };
  const batch = taskBatch(Array.from({ length: run.batchSize }, () => example));
  const objective: Objective<DecoderTaskModel, typeof batch> = (own, some, random) =>
    taskObjective(own, some, random, weight);
  const part = { objective, batch, tokens: run.batchSize * run.context };
  return trainingStep(body, model, model.trainable(weight > 0), part, mark);
}

function rewardStep(body: LanguageModel, run: PlannedRun, mark: Mark): PreparedStep {
  const model = new RewardModel(body, null);
  const ranking = { where: "", ranks: [1, 2], margin: null, answers: [answerOf(run), answerOf(run)] };
  const batch = Array.from({ length: run.batchSize }, () => ranking);
  const objective: Objective<RewardModel, typeof batch> = (own, some) =>
    rankingObjective(own, some, { marginPerRank: 0, centering: 0 });
  const part = { objective, batch, tokens: 2 * run.batchSize * run.context };
  return trainingStep(body, model, model.trainable(), part, mark);
}

function dpoStep(policy: LanguageModel, reference: LanguageModel | null, run: PlannedRun, mark: Mark): PreparedStep {
  if (reference) freeze(reference);
  const [chosen, rejected] = [answerOf(run), answerOf(run)];
  const pair = { where: "", margin: null, distance: 1, chosen, rejected, referenceLogProbs: [-1, -1] as const };
  const batch = Array.from({ length: run.batchSize }, () => pair);
  const objective: Objective<LanguageModel, typeof batch> = (own, some) =>
    dpoObjective(own, some, { kind: "sigmoid", beta: 0.1, labelSmoothing: 0 });
  const part = { objective, batch, tokens: 2 * run.batchSize * run.context };
  const prepared = trainingStep(policy, policy, parameters(policy), part, mark);
  return { ...prepared, release: () => releaseAll([policy, ...(reference ? [reference] : [])], [prepared.optimizer]) };
}

interface StepPart<Model, Batch> {
  readonly objective: Objective<Model, Batch>;
  readonly batch: Batch;
  readonly tokens: number;
}

/** One update by the loop's own `optimizerStep`. */
function trainingStep<Model, Batch>(
  body: LanguageModel,
  model: Model,
  trained: ReadonlyMap<string, Parameter>,
  { objective, batch, tokens }: StepPart<Model, Batch>,
  mark: Mark,
): PreparedStep & { readonly optimizer: AdamW } {
  mark("weights");
  const optimizer = newOptimizer(trained, { weightDecay: 0.1, adamBeta2: 0.999 });
  mark("optimizer");
  const micro: MicroBatch<Batch> = { batch, share: 1, tokens };
  const watched: Objective<Model, Batch> = (own, some, random) => {
    const result = objective(own, some, random);
    mark("forward");
    return result;
  };
  const update = { model, objective: watched, optimizer, schedule: () => 1e-5, maxGradientNorm: 1, seed: 1 };
  const count = [...optimizer.parameters().values()].reduce((sum, { size }) => sum + size, 0);
  return {
    ...{ model: body, trained: count, tokens, optimizer },
    async step() {
      await optimizerStep({ ...update, batches: () => [micro] }, 0);
    },
    release: () => releaseAll([model], [optimizer]),
  };
}

function releaseAll(models: readonly unknown[], optimizers: readonly AdamW[]): void {
  for (const optimizer of optimizers) {
    optimizer.clearGradients();
    for (const moment of optimizer.state().values()) moment.release();
  }
  for (const model of models) for (const parameter of parameters(model as object).values()) parameter.release();
}

/** Four models: one answers, three judge, two of them learn. */
function ppoStep(create: () => LanguageModel, run: PlannedRun, mark: Mark): PreparedStep {
  const actor = create();
  const reference = freeze(create());
  const reward = freeze(new RewardModel(create(), null));
  const critic = new RewardModel(create(), null);
  mark("weights");
  const decay = { weightDecay: 0, adamBeta2: 0.999 };
  const actorOptimizer = newOptimizer(parameters(actor), decay);
  const criticOptimizer = newOptimizer(critic.trainable(), decay);
  mark("optimizer");
  const answers = Array.from({ length: run.batchSize }, () => answerOf(run));
  const settings = PpoStageSettings.parse({
    ...{ model: "", reward: "", prompts: [""], output: "x" },
    batchSize: run.batchSize,
    ppoEpochs: 1,
  });
  const ppo: Ppo = {
    ...{ actor, reference, critic, reward, actorOptimizer, criticOptimizer, pretraining: null, klCoefficient: 0.05 },
    ...{ actorSchedule: () => 1e-6, criticSchedule: () => 1e-6, prompts: () => answers.map(({ prompt }) => prompt) },
    settings: {
      ...settings,
      sampling: {
        sampling: { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 },
        ...{ maxNewTokens: answers[0]?.answer.length ?? 1, endTokens: new Set<number>(), batchSize: run.batchSize },
      },
      kl: { coefficient: 0.05, target: null, horizon: 1 },
    },
  };
  const all = [actorOptimizer, criticOptimizer].flatMap((optimizer) => [...optimizer.parameters().values()]);
  const tokens = run.batchSize * run.context;
  const trained = all.reduce((sum, { size }) => sum + size, 0);
  return {
    ...{ model: actor, trained, tokens },
    step: () => ppoIteration(ppo, answers, run),
    release: () => releaseAll([actor, reference, reward, critic], [actorOptimizer, criticOptimizer]),
  };
}

/** Generation as far as it takes memory, judging, and learning. */
async function ppoIteration(ppo: Ppo, answers: readonly EncodedAnswer[], run: PlannedRun): Promise<void> {
  const { actor, reference, critic, reward } = ppo;
  const decoder = new Decoder(actor, answers.length, run.context);
  for (const _ of answers) decoder.open();
  await decoder.feed(answers.map(({ prompt }) => prompt));
  decoder.release();
  await readAnswers(answers, run.batchSize, (batch) => answerLogProbs(actor, batch, 1));
  await readAnswers(answers, run.batchSize, (batch) => answerLogProbs(reference, batch, 1));
  await readAnswers(answers, run.batchSize, (batch) => answerValues(critic, batch));
  await readAnswers(answers, run.batchSize, (batch) => answerScores(reward, batch));
  const rollouts = answers.map((answer): Rollout => {
    const zeros = new Float32Array(answer.answer.length);
    const said = { logProbs: zeros, referenceLogProbs: zeros, values: zeros, score: 0, ended: true };
    return { ...answer, ...said, kl: zeros, advantages: zeros, returns: zeros, shapedScore: 0 };
  });
  const metrics = { "objective/kl": 0 } as Parameters<typeof learnFrom>[2]["metrics"];
  await learnFrom(ppo, 0, { rollouts, metrics, sampling: 0, judging: 0 });
}

/** Half of the context is prompt, the other half answer. */
function answerOf({ context }: PlannedRun): EncodedAnswer {
  const half = Math.max(1, Math.floor(context / 2));
  return {
    prompt: new Int32Array(half).fill(someToken),
    answer: new Int32Array(Math.max(1, context - half)).fill(someToken),
  };
}
