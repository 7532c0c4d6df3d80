import type { Backend } from "../../backend/kernels.ts";
import { SettingsError } from "../../core/errors.ts";
import type { EncodedAnswer } from "../../data/encoded-rankings.ts";
import { Decoder } from "../../generate/decoder.ts";
import { rowsAlone } from "../../generate/step-plan.ts";
import { AdapterOff } from "../../models/adapter-off.ts";
import type { LanguageModel } from "../../models/language-model.ts";
import { RewardModel } from "../../models/reward-model.ts";
import { DecoderTaskModel } from "../../models/task-model.ts";
import { freeze, Initializer, trainedParameters } from "../../nn/parameters.ts";
import { answerLogProbs, answerScores, answerValues, readAnswers } from "../../train/answers.ts";
import type { GroupRollout, Grpo } from "../../train/grpo.ts";
import { learnFromGroups } from "../../train/grpo.ts";
import { nextTokenLoss } from "../../train/objectives/next-token.ts";
import type { Ppo } from "../../train/ppo.ts";
import { learnFrom } from "../../train/ppo.ts";
import type { Rollout } from "../../train/ppo-rewards.ts";
import { dpoObjective } from "../../train/preference-batch.ts";
import { rankingObjective } from "../../train/ranking-batch.ts";
import type { Objective } from "../../train/run.ts";
import { taskObjective } from "../../train/task-objective.ts";
import { GrpoStageSettings } from "../grpo-settings.ts";
import { PpoStageSettings } from "../ppo-settings.ts";
import { newOptimizer } from "../train-stage.ts";
import { prepareEncoderStep } from "./encoder-step.ts";
import type { PlannedModel } from "./plan-models.ts";
import type { Mark, PlannedRun, PreparedStep } from "./prepared-step.ts";
import { adaptPlanned, mostTokens, plannedTask, releaseAll, someToken, trainingStep } from "./prepared-step.ts";
import { prepareTextToTextStep } from "./text-to-text-step.ts";

/**
 * Builds the models, optimizers and one batch of a stage, with the code that the stage itself runs.
 *
 * @throws {SettingsError} when it would go on for minutes, at more than {@link mostTokens}.
 */
export function prepareStep(backend: Backend, planned: PlannedModel, run: PlannedRun, mark: Mark): PreparedStep {
  if (run.batchSize * run.context > mostTokens) {
    throw new SettingsError(
      `batch-size, context: ${run.batchSize} × ${run.context} tokens in a step are more than the ${mostTokens} that can be ` +
        "planned; lower one of the two",
    );
  }
  if (planned.kind === "encoder") return prepareEncoderStep(backend, planned, run, mark);
  if (planned.kind === "encoder-decoder") return prepareTextToTextStep(backend, planned, run, mark);
  const formats = run.loraRank > 0 ? planned.formats : [];
  const create = (): LanguageModel =>
    planned.family.create(planned.settings, new Initializer(backend, null, Number.POSITIVE_INFINITY, formats));
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
    case "grpo":
      return grpoStep(create, run, mark);
  }
}

function languageModelStep(model: LanguageModel, run: PlannedRun, mark: Mark): PreparedStep {
  const { batchSize, context, recompute } = run;
  adaptPlanned(model, run);
  const inputs = new Int32Array(batchSize * context).fill(someToken);
  const batch = { inputs, targets: inputs, batch: batchSize, time: context };
  const objective: Objective<LanguageModel, typeof batch> = (own, some, random) =>
    nextTokenLoss(own, some, random, { recompute });
  return trainingStep(model, model, trainedParameters(model), { objective, batch, tokens: inputs.length }, mark);
}

function taskStep(body: LanguageModel, run: PlannedRun, mark: Mark): PreparedStep {
  const { description, batch } = plannedTask(run);
  const model = new DecoderTaskModel(description, body, null);
  adaptPlanned(body, run);
  if (run.loraRank === 0 && run.freezeBody) model.freezeBody(someToken);
  const weight = run.freezeBody ? 0 : 0.5;
  const objective: Objective<DecoderTaskModel, typeof batch> = (own, some, random) =>
    taskObjective(own, some, random, weight, run);
  const part = { objective, batch, tokens: run.batchSize * run.context };
  return trainingStep(body, model, model.trainable(weight > 0), part, mark);
}

function rewardStep(body: LanguageModel, run: PlannedRun, mark: Mark): PreparedStep {
  const model = new RewardModel(body, null);
  adaptPlanned(body, run);
  const ranking = { where: "", ranks: [1, 2], margin: null, answers: [answerOf(run), answerOf(run)] };
  const batch = Array.from({ length: run.batchSize }, () => ranking);
  const objective: Objective<RewardModel, typeof batch> = (own, some) =>
    rankingObjective(own, some, { marginPerRank: 0, centering: 0, recompute: run.recompute });
  const part = { objective, batch, tokens: 2 * run.batchSize * run.context };
  return trainingStep(body, model, model.trainable(), part, mark);
}

function dpoStep(policy: LanguageModel, reference: LanguageModel | null, run: PlannedRun, mark: Mark): PreparedStep {
  if (reference) freeze(reference);
  adaptPlanned(policy, run);
  const [chosen, rejected] = [answerOf(run), answerOf(run)];
  const pair = { where: "", margin: null, distance: 1, chosen, rejected, referenceLogProbs: [-1, -1] as const };
  const batch = Array.from({ length: run.batchSize }, () => pair);
  const objective: Objective<LanguageModel, typeof batch> = (own, some) =>
    dpoObjective(own, some, { kind: "sigmoid", beta: 0.1, labelSmoothing: 0 }, { recompute: run.recompute });
  const part = { objective, batch, tokens: 2 * run.batchSize * run.context };
  const prepared = trainingStep(policy, policy, trainedParameters(policy), part, mark);
  const models = [policy, ...(reference ? [reference] : [])];
  return { ...prepared, models, release: () => releaseAll(models, [prepared.optimizer]) };
}

/** Four models: one answers, three judge, two of them learn. With adapters, two models do the work of four. */
function ppoStep(create: () => LanguageModel, run: PlannedRun, mark: Mark): PreparedStep {
  const actor = create();
  const critic = new RewardModel(create(), null);
  const isAdapted = run.loraRank > 0;
  const reference = isAdapted ? new AdapterOff(actor) : freeze(create());
  const reward = freeze(new RewardModel(isAdapted ? new AdapterOff(critic.body) : create(), null));
  for (const model of [actor, critic.body]) adaptPlanned(model, run);
  mark("weights");
  const decay = { weightDecay: 0, adamBeta2: 0.999 };
  const actorOptimizer = newOptimizer(trainedParameters(actor), decay);
  const criticOptimizer = newOptimizer(critic.trainable(), decay);
  mark("optimizer");
  const answers = Array.from({ length: run.batchSize }, () => answerOf(run));
  const settings = PpoStageSettings.parse({
    ...{ model: "", reward: "", prompts: [""], output: "x" },
    batchSize: run.batchSize,
    ...{ ppoEpochs: 1, recompute: run.recompute },
  });
  const ppo: Ppo = {
    ...{ actor, reference, critic, reward, actorOptimizer, criticOptimizer, pretraining: null, klCoefficient: 0.05 },
    ...{ actorSchedule: () => 1e-6, criticSchedule: () => 1e-6, prompts: () => answers.map(({ prompt }) => prompt) },
    settings: {
      ...settings,
      sampling: samplingOf(answers[0]?.answer.length ?? 1, run),
      kl: { coefficient: 0.05, target: null, horizon: 1 },
    },
  };
  const all = [actorOptimizer, criticOptimizer].flatMap((optimizer) => [...optimizer.parameters().values()]);
  const tokens = run.batchSize * run.context;
  const trained = all.reduce((sum, { size }) => sum + size, 0);
  const models = [actor, reference, reward, critic];
  return {
    ...{ model: actor, models, trained, tokens },
    step: () => ppoIteration(ppo, answers, run),
    release: () => releaseAll(models, [actorOptimizer, criticOptimizer]),
  };
}

/** One model answers and learns, and another may hold it. What judges is not known. */
function grpoStep(create: () => LanguageModel, run: PlannedRun, mark: Mark): PreparedStep {
  const policy = create();
  const frozen = (): LanguageModel => (run.loraRank > 0 ? new AdapterOff(policy) : freeze(create()));
  const reference = run.keepsReference ? frozen() : null;
  adaptPlanned(policy, run);
  mark("weights");
  const optimizer = newOptimizer(trainedParameters(policy), { weightDecay: 0, adamBeta2: 0.999 });
  mark("optimizer");
  const answers = Array.from({ length: run.batchSize }, () => answerOf(run));
  const maxNewTokens = answers[0]?.answer.length ?? 1;
  const given = { model: "", prompts: [""], reward: ["exact"], output: "x", batchSize: run.batchSize, maxNewTokens };
  const settings = {
    ...GrpoStageSettings.parse(given),
    beta: reference ? 0.04 : 0,
    epsilonHigh: 0.2,
    recompute: run.recompute,
  };
  const grpo: Grpo = {
    ...{ policy, reference, optimizer, schedule: () => 1e-6, prompts: () => [], rewards: [] },
    tokenizer: { decode: () => "" },
    settings: { ...settings, sampling: samplingOf(maxNewTokens, run) },
  };
  const trained = [...optimizer.parameters().values()].reduce((sum, { size }) => sum + size, 0);
  const models = [policy, ...(reference ? [reference] : [])];
  return {
    ...{ model: policy, models, trained, tokens: run.batchSize * run.context },
    step: () => grpoIteration(grpo, answers, run),
    release: () => releaseAll(models, [optimizer]),
  };
}

async function grpoIteration(grpo: Grpo, answers: readonly EncodedAnswer[], run: PlannedRun): Promise<void> {
  await answerAll(grpo.policy, answers, run);
  const { reference } = grpo;
  if (reference) await readAnswers(answers, run.batchSize, (batch) => answerLogProbs(reference, batch));
  const rollouts = answers.map((answer): GroupRollout => {
    const said = { question: "", completion: "", row: {}, where: "", ended: true, rewards: [], reward: 0 };
    const referenceLogProbs = reference && new Float32Array(answer.answer.length);
    return { ...answer, ...said, advantage: 1, logProbs: null, referenceLogProbs };
  });
  await learnFromGroups(grpo, 0, { rollouts, metrics: {}, sampling: 0, judging: 0 });
}

function samplingOf(maxNewTokens: number, { batchSize }: PlannedRun): Ppo["settings"]["sampling"] {
  return {
    sampling: { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 },
    ...{ maxNewTokens, endTokens: new Set<number>(), batchSize, tokenizer: undefined },
  };
}

/** Generation as far as it takes memory. */
async function answerAll(model: LanguageModel, answers: readonly EncodedAnswer[], run: PlannedRun): Promise<void> {
  const decoder = new Decoder(model, answers.length, run.context);
  let room = rowsAlone;
  const parts = answers.flatMap(({ prompt }, slot) => {
    const tokens = prompt.slice(0, room);
    room -= tokens.length;
    return tokens.length > 0 ? [{ slot, tokens }] : [];
  });
  await decoder.feed(parts);
  decoder.release();
}

/** Generation, judging, and learning. */
async function ppoIteration(ppo: Ppo, answers: readonly EncodedAnswer[], run: PlannedRun): Promise<void> {
  const { actor, reference, critic, reward } = ppo;
  await answerAll(actor, answers, run);
  await readAnswers(answers, run.batchSize, (batch) => answerLogProbs(actor, batch));
  await readAnswers(answers, run.batchSize, (batch) => answerLogProbs(reference, batch));
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
