import type { Backend } from "../backend/kernels.ts";
import { openMachine } from "../backend/machine-settings.ts";
import { NumericalError, SettingsError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { preparePretraining } from "../data/prepare.ts";
import { defaultTokenCache } from "../data/token-cache.ts";
import { trainingWindows } from "../data/windows.ts";
import type { Assistant } from "../generate/assistant.ts";
import { assistantContents, refuseOtherTokenizer } from "../generate/assistant.ts";
import { encoderIn } from "../models/encoder-in.ts";
import { loadRewardModel, withAdapterOff } from "../models/reward-model.ts";
import type { Parameter } from "../nn/parameters.ts";
import { freeze, parameters, trainedParameters } from "../nn/parameters.ts";
import { learningRateAt } from "../optim/schedule.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Ppo, RolledOut } from "../train/ppo.ts";
import { learnFrom, rollOut } from "../train/ppo.ts";
import type { Rollout } from "../train/ppo-rewards.ts";
import { TroubleWatch } from "../train/ppo-trouble.ts";
import type { Metrics } from "../train/run.ts";
import { adaptFor, frozenReference, keepingOfAssistant, openStart, weightsOf } from "./adapter-run.ts";
import type { AskedPrompts } from "./asked-prompts.ts";
import { askedPrompts } from "./asked-prompts.ts";
import { momentsOf, restoreStage } from "./checkpoints.ts";
import { readFitting } from "./fitted-context.ts";
import { answerSampling, refuseEmptyUpdates } from "./iteration-settings.ts";
import type { Iterations } from "./iterations.ts";
import { isDue, iterate } from "./iterations.ts";
import { PpoStageSettings } from "./ppo-settings.ts";
import { resolvedSettings } from "./resolved-settings.ts";
import type { StageEnvironment } from "./stage.ts";
import { defineStage } from "./stage.ts";
import { newOptimizer } from "./train-stage.ts";

/**
 * Reinforcement learning from a reward model, by PPO with a pretraining term.
 *
 * @see Ouyang et al. (2022), section 3.5, arXiv:2203.02155; Ziegler et al. (2019), arXiv:1909.08593.
 */
export const ppo = defineStage({
  name: "ppo",
  summary: "learn by trial what a reward model likes, without straying",
  settings: PpoStageSettings,
  beginning: ["model", "adapter", "critic"],
  examples: [
    "stemma ppo --model runs/sft/final --reward runs/reward/final --prompts prompts.jsonl --output runs/ppo",
    "stemma ppo --model runs/sft/final --reward runs/reward/final --prompts prompts.jsonl --pretrain-coefficient 1 " +
      "--pretrain-data corpus.txt --output runs/ppo-ptx",
  ],
  async prepare(settings, environment) {
    refuseEmptyUpdates(settings);
    const backend = await openMachine(settings, environment);
    const { checkpoint } = environment.folder;
    const actor = await openStart(settings, environment, backend);
    adaptFor(settings, actor.model);
    const asked = await readFitting(
      settings,
      environment,
      (fitting, own) => askedPrompts(actor, { ...fitting, perStep: settings.answers, isByRow: false }, own),
      ({ longest }) => ({ stage: "ppo", ...settings, ...actor, longest }),
    );
    const run = await preparePpo(actor, asked, settings, environment, backend);
    if (checkpoint) await restore(run, settings, checkpoint.path);
    const firstStep = checkpoint?.step ?? 0;
    const { steps } = settings;
    const settled = { ...settings, context: asked.context };
    const resolved = resolvedSettings(settled, trainedParameters(actor.model), assistantContents(actor).config);
    const iterations = iterationsOf(run, actor, settings, environment);
    const train = (signal: AbortSignal) => iterate(iterations, settings, environment, firstStep, signal);
    return { steps, firstStep, resolved, train };
  },
});

/** How the run goes on from iteration to iteration. */
function iterationsOf(
  run: Ppo,
  actor: Assistant,
  settings: PpoStageSettings,
  environment: StageEnvironment,
): Iterations<RolledOut> {
  const watch = new TroubleWatch();
  return {
    state: {
      model: () => assistantContents(actor),
      tensors: () => tensorsOf(run, settings),
      trainer: () => countersOf(run),
    },
    adapters: keepingOfAssistant(actor, settings, environment),
    rollOut: (step, signal) => rollOut(run, step, signal),
    verdict({ metrics }, step) {
      const kl = metrics["objective/kl"];
      if (!Number.isFinite(kl)) return { error: klUnknown(kl, step, settings), isWorthSaving: false };
      return kl > settings.klLimit ? { error: klExplosion(kl, step, settings), isWorthSaving: true } : null;
    },
    learn: (step, rolled, signal) => learnFrom(run, step, rolled, signal),
    tell: (step, metrics, { rollouts }) => tell(step, metrics, rollouts, { actor, settings, environment, watch }),
  };
}

interface Telling {
  readonly actor: Assistant;
  readonly settings: PpoStageSettings;
  readonly environment: StageEnvironment;
  readonly watch: TroubleWatch;
}

/** Answers of an iteration that are shown, and that stand in `samples.jsonl`. */
const [shownAnswers, recordedAnswers] = [3, 16];

/** Logs an iteration, warns of trouble, and shows some answers when it is time. */
function tell(
  step: number,
  metrics: Metrics,
  rollouts: readonly Rollout[],
  { actor, settings, environment, watch }: Telling,
): void {
  const { klBudget, answers, sampleEvery, steps } = settings;
  const tokens = rollouts.reduce((sum, { prompt, answer }) => sum + prompt.length + answer.length, 0);
  environment.log(step, { ...metrics, episode: step * answers, tokens });
  for (const line of watch.look(metrics, { klBudget, answers })) environment.note(`step ${step}: ${line}`);
  if (!isDue(sampleEvery, step) && step !== steps) return;
  for (const [i, rollout] of rollouts.slice(0, recordedAnswers).entries()) {
    const record = table(rollout, actor);
    if (i < shownAnswers) environment.sample(step, record);
    else environment.folder.sample(step, record);
  }
}

/** Opens the three other models and everything else; whatever can be wrong with the settings is found here. */
async function preparePpo(
  actor: Assistant,
  { at, context }: AskedPrompts,
  settings: PpoStageSettings,
  environment: StageEnvironment,
  backend: Backend,
): Promise<Ppo> {
  const reference = await frozenReference(actor, settings, backend);
  const { reward, critic } = await judgesOf(settings, backend);
  const { tokenizer } = actor.encoder;
  for (const path of [settings.reward, ...(settings.critic ? [settings.critic] : [])]) {
    refuseOtherTokenizer(`reward model ${path}`, tokenizer, (await encoderIn(path)).tokenizer);
  }
  const rate = (learningRate: number) => (step: number) =>
    learningRateAt(step, { ...settings, learningRate, shape: settings.schedule, finalShare: 0 });
  const { klCoefficient, klTarget, klHorizon } = settings;
  return {
    actor: actor.model,
    ...{ reference, critic, reward },
    actorOptimizer: newOptimizer(trainedParameters(actor.model), settings),
    criticOptimizer: newOptimizer(critic.trainable(), settings),
    actorSchedule: rate(settings.learningRate),
    criticSchedule: rate(settings.criticLearningRate ?? settings.learningRate),
    prompts: (step) => at(step).map(({ ids }) => ids),
    pretraining: await pretrainingOf(actor, context, settings, environment),
    settings: {
      ...settings,
      sampling: answerSampling(settings, actor.encoder),
      kl: { coefficient: klCoefficient, target: klTarget, horizon: klHorizon },
    },
    klCoefficient,
  };
}

/** The reward model, and the critic that starts from it; beside adapters, the critic's body serves both. */
async function judgesOf(settings: PpoStageSettings, backend: Backend): Promise<Pick<Ppo, "reward" | "critic">> {
  const path = settings.critic ?? settings.reward;
  const weights = weightsOf(settings);
  const critic = (await loadRewardModel(path, backend, new Random(settings.seed), { weights })).model;
  const isShared = settings.loraRank > 0 && path === settings.reward;
  adaptFor(settings, critic.body);
  const reward = isShared
    ? await withAdapterOff(critic)
    : (await loadRewardModel(settings.reward, backend, null, { weights })).model;
  critic.bias.requiresGrad = true;
  return { reward: freeze(reward), critic };
}

async function pretrainingOf(
  { encoder }: Assistant,
  context: number,
  settings: Pick<PpoStageSettings, "pretrainCoefficient" | "pretrainData" | "batchSize" | "seed">,
  { folder, signal }: StageEnvironment,
): Promise<Ppo["pretraining"]> {
  const { pretrainCoefficient, pretrainData, batchSize, seed } = settings;
  if (pretrainCoefficient === 0 && pretrainData.length === 0) return null;
  if (pretrainCoefficient === 0 || pretrainData.length === 0) {
    throw new SettingsError(
      `pretrain-coefficient: is ${pretrainCoefficient} with ${pretrainData.length} files of --pretrain-data; the ` +
        "pretraining term needs both",
    );
  }
  const { training } = await preparePretraining({
    ...{ data: pretrainData, validationFraction: 0, tokenizer: encoder.tokenizer },
    ...{ cacheFolder: defaultTokenCache(folder.path), signal },
  });
  const windows = trainingWindows({ sources: training, context, seed });
  return (update, microBatches) => windows.batchAt(update, { batchSize: batchSize * microBatches, microBatches });
}

/** What a checkpoint holds beside the actor's weights: of adapters all that was learned, as of models that have none. */
function tensorsOf(
  { actor, critic, actorOptimizer, criticOptimizer }: Ppo,
  { loraRank }: PpoStageSettings,
): Map<string, Tensor> {
  const learned = loraRank > 0 ? [...trainedParameters(actor)] : [];
  const own = loraRank > 0 ? trainedParameters(critic) : parameters(critic);
  const weights = [...own].map(([name, parameter]): [string, Parameter] => [`critic.${name}`, parameter]);
  return new Map<string, Tensor>([
    ...learned,
    ...weights,
    ...momentsOf(actorOptimizer, "actor_optimizer."),
    ...momentsOf(criticOptimizer, "critic_optimizer."),
  ]);
}

function countersOf({ klCoefficient, actorOptimizer, criticOptimizer }: Ppo): Record<string, number> {
  return { kl_coefficient: klCoefficient, actor_updates: actorOptimizer.step, critic_updates: criticOptimizer.step };
}

async function restore(run: Ppo, settings: PpoStageSettings, path: string): Promise<void> {
  const trainer = await restoreStage(path, tensorsOf(run, settings));
  run.klCoefficient = Number(trainer.kl_coefficient);
  run.actorOptimizer.step = Number(trainer.actor_updates);
  run.criticOptimizer.step = Number(trainer.critic_updates);
}

/** An answer with what was thought of each of its tokens. */
function table(rollout: Rollout, { encoder }: Assistant): { prompt: string; text: string } {
  const { tokenizer } = encoder;
  const tokens = [...rollout.answer].map((id, i) => ({
    token: tokenizer.decode([id]),
    kl: rollout.kl[i] ?? null,
    value: rollout.values[i] ?? null,
    advantage: rollout.advantages[i] ?? null,
  }));
  const { score, ended } = rollout;
  const own = { score, ended, tokens };
  return { prompt: tokenizer.decode(rollout.prompt), text: tokenizer.decode(rollout.answer), ...own };
}

/** Nothing is saved then: what the actor has become is no model to go on from. */
function klUnknown(kl: number, step: number, { learningRate }: PpoStageSettings): NumericalError {
  return new NumericalError(
    `ppo: KL is ${kl} at step ${step}: the actor or the reference gives no probabilities any more; try a learning rate ` +
      `below ${learningRate}`,
  );
}

function klExplosion(kl: number, step: number, { klLimit, output }: PpoStageSettings): NumericalError {
  return new NumericalError(
    `ppo: KL is ${kl.toPrecision(3)} nats an answer at step ${step}, the limit is ${klLimit}; what came of it is saved ` +
      `in ${output}; start again with a larger --kl-coefficient, a --kl-target, or a smaller --learning-rate`,
  );
}
