import type { Backend } from "../backend/kernels.ts";
import { openMachine } from "../backend/machine-settings.ts";
import { NumericalError, SettingsError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { encodePrompts } from "../data/encoded-rankings.ts";
import { epochOrder } from "../data/epochs.ts";
import { preparePretraining } from "../data/prepare.ts";
import { readPrompts } from "../data/prompts.ts";
import { defaultTokenCache } from "../data/token-cache.ts";
import { trainingWindows } from "../data/windows.ts";
import type { Assistant } from "../generate/assistant.ts";
import { assistantContents, openTrainee, refuseOtherTokenizer } from "../generate/assistant.ts";
import { AdapterOff } from "../models/adapter-off.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { loadRewardModel, withAdapterOff } from "../models/reward-model.ts";
import type { Parameter } from "../nn/parameters.ts";
import { freeze, parameters, trainedParameters } from "../nn/parameters.ts";
import { learningRateAt } from "../optim/schedule.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { loadChatEncoder } from "../text/load-chat-encoder.ts";
import type { Ppo } from "../train/ppo.ts";
import { learnFrom, rollOut } from "../train/ppo.ts";
import type { Rollout } from "../train/ppo-rewards.ts";
import { TroubleWatch } from "../train/ppo-trouble.ts";
import type { Metrics, Outcome } from "../train/run.ts";
import { SaveClock } from "../train/save-clock.ts";
import { adaptFor, keepingOfAssistant, startOf } from "./adapter-run.ts";
import { momentsOf, restoreStage, saveStage } from "./checkpoints.ts";
import { refuseLargeTraining } from "./plan/fit.ts";
import { PpoStageSettings } from "./ppo-settings.ts";
import { resolvedSettings } from "./resolved-settings.ts";
import { longestContext, longRowsNote, readNotingBad, resolveContext } from "./row-settings.ts";
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
  beginning: ["model", "critic"],
  examples: [
    "stemma ppo --model runs/sft/final --reward runs/reward/final --prompts prompts.jsonl --output runs/ppo",
    "stemma ppo --model runs/sft/final --reward runs/reward/final --prompts prompts.jsonl --pretrain-coefficient 1 " +
      "--pretrain-data corpus.txt --output runs/ppo-ptx",
  ],
  async prepare(settings, environment) {
    const { miniBatches, answers } = settings;
    if (miniBatches > answers) {
      throw new SettingsError(`mini-batches: ${miniBatches} are more than the ${answers} answers of an iteration`);
    }
    const backend = await openMachine(settings, environment);
    const { checkpoint } = environment.folder;
    const actor = await openTrainee(startOf(settings, environment), backend);
    adaptFor(settings, actor.model);
    const asked = await promptsOf(actor, settings, environment);
    const run = await preparePpo(actor, asked, settings, environment, backend);
    if (checkpoint) await restore(run, settings, checkpoint.path);
    const firstStep = checkpoint?.step ?? 0;
    const { steps } = settings;
    const settled = { ...settings, context: asked.context };
    const resolved = resolvedSettings(settled, trainedParameters(actor.model), assistantContents(actor).config);
    const train = (signal: AbortSignal) => iterate(run, actor, settings, environment, firstStep, signal);
    return { steps, firstStep, resolved, train };
  },
});

/** The whole run: roll out, learn, and save, log and warn in between. */
async function iterate(
  run: Ppo,
  actor: Assistant,
  settings: PpoStageSettings,
  environment: StageEnvironment,
  firstStep: number,
  signal: AbortSignal,
): Promise<Outcome> {
  const state = {
    model: () => assistantContents(actor),
    tensors: () => tensorsOf(run, settings),
    trainer: () => countersOf(run),
  };
  const watch = new TroubleWatch();
  const { steps, saveEvery, saveMinutes, klLimit } = settings;
  const adapters = keepingOfAssistant(actor, settings, environment);
  const save = async (step: number): Promise<void> => {
    if (step === settings.steps) await adapters?.save();
    await saveStage(step, state, settings, environment);
  };
  const clock = new SaveClock(saveMinutes);
  for (let step = firstStep; ; step++) {
    const isOver = step === steps || signal.aborted;
    if (isOver || (step > firstStep && isDue(saveEvery, step)) || clock.isDue) {
      await save(step);
      clock.restart();
    }
    if (isOver) return { step, interrupted: step < steps };

    const rolled = await rollOut(run, step, signal).catch((error: unknown) => nullIfAborted(error, signal));
    if (rolled === null) {
      await save(step); // rolling out has changed nothing
      return { step, interrupted: true };
    }
    const kl = rolled.metrics["objective/kl"];
    if (!Number.isFinite(kl)) throw klUnknown(kl, step, settings);
    if (kl > klLimit) {
      await save(step);
      throw klExplosion(kl, step, settings);
    }
    const metrics = await learnFrom(run, step, rolled);
    tell(step + 1, metrics, rolled.rollouts, { actor, settings, environment, watch });
  }
}

/** @throws {unknown} whatever is not the reason of the signal. */
function nullIfAborted(error: unknown, signal: AbortSignal): null {
  if (signal.aborted && error === signal.reason) return null;
  throw error;
}

interface Telling {
  readonly actor: Assistant;
  readonly settings: PpoStageSettings;
  readonly environment: StageEnvironment;
  readonly watch: TroubleWatch;
}

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
  for (const rollout of rollouts.slice(0, 3)) environment.sample(step, table(rollout, actor));
}

function isDue(every: number, step: number): boolean {
  return every > 0 && step % every === 0;
}

/** Opens the three other models and everything else; whatever can be wrong with the settings is found here. */
async function preparePpo(
  actor: Assistant,
  { prompts, context, longest }: Asked,
  settings: PpoStageSettings,
  environment: StageEnvironment,
  backend: Backend,
): Promise<Ppo> {
  await refuseLargeTraining({ stage: "ppo", ...settings, ...actor, longest });
  const reference = await referenceOf(actor, settings, backend);
  const { reward, critic } = await judgesOf(settings, backend);
  const { tokenizer } = actor.encoder;
  for (const path of [settings.reward, ...(settings.critic ? [settings.critic] : [])]) {
    refuseOtherTokenizer(`reward model ${path}`, tokenizer, (await loadChatEncoder(path)).tokenizer);
  }
  const rate = (learningRate: number) => (step: number) =>
    learningRateAt(step, { ...settings, learningRate, shape: settings.schedule, finalShare: 0 });
  const { temperature, maxNewTokens, answers, klCoefficient, klTarget, klHorizon } = settings;
  return {
    actor: actor.model,
    ...{ reference, critic, reward },
    actorOptimizer: newOptimizer(trainedParameters(actor.model), settings),
    criticOptimizer: newOptimizer(critic.trainable(), settings),
    actorSchedule: rate(settings.learningRate),
    criticSchedule: rate(settings.criticLearningRate ?? settings.learningRate),
    prompts,
    pretraining: await pretrainingOf(actor, context, settings, environment),
    settings: {
      ...settings,
      sampling: {
        sampling: { temperature, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 },
        ...{
          maxNewTokens,
          endTokens: actor.encoder.endTokens(),
          tokenizer: actor.encoder.tokenizer,
          batchSize: settings.samplingBatchSize ?? answers,
        },
      },
      kl: { coefficient: klCoefficient, target: klTarget, horizon: klHorizon },
    },
    klCoefficient,
  };
}

/**
 * What the actor was at the start; beside adapters, the actor with them off.
 *
 * @throws {SettingsError} when it reads other tokens.
 */
async function referenceOf(actor: Assistant, settings: PpoStageSettings, backend: Backend): Promise<LanguageModel> {
  const { loraRank, reference, model } = settings;
  if (loraRank > 0 && (reference ?? model) === model) return new AdapterOff(actor.model);
  const opened = await openTrainee(reference ?? model, backend);
  refuseOtherTokenizer(`reference ${reference ?? model}`, actor.encoder.tokenizer, opened.encoder.tokenizer);
  return freeze(opened.model);
}

/** The reward model, and the critic that starts from it; beside adapters, the critic's body serves both. */
async function judgesOf(settings: PpoStageSettings, backend: Backend): Promise<Pick<Ppo, "reward" | "critic">> {
  const path = settings.critic ?? settings.reward;
  const critic = (await loadRewardModel(path, backend, new Random(settings.seed))).model;
  const isShared = settings.loraRank > 0 && path === settings.reward;
  adaptFor(settings, critic.body);
  const reward = isShared
    ? await withAdapterOff(critic)
    : (await loadRewardModel(settings.reward, backend, null)).model;
  critic.bias.requiresGrad = true;
  return { reward: freeze(reward), critic };
}

/** Prompts in token ids, and the context that the longest of them needs with its answer. */
interface Asked {
  readonly prompts: Ppo["prompts"];
  readonly context: number;
  /** Tokens of the longest prompt with its answer. */
  readonly longest: number;
}

async function promptsOf(
  { model, encoder }: Assistant,
  settings: PpoStageSettings,
  { note }: StageEnvironment,
): Promise<Asked> {
  const { answers, maxNewTokens, seed } = settings;
  const { context: most } = model.settings;
  const limit = longestContext(settings.context, most);
  const { items, longest } = await readNotingBad(settings, note, async (bad) => {
    const all = await readPrompts(settings.prompts, bad);
    const fitting = encodePrompts(all, encoder, maxNewTokens, { ...settings, context: limit, bad });
    const about = { total: all.length, noun: "prompts", longest: fitting.longest, context: limit, model: most };
    const long = longRowsNote({ ...about, count: fitting.skipped, fate: "left out" });
    if (long) note(long);
    return fitting;
  });
  const order = epochOrder(seed, items.length);
  const prompts: Ppo["prompts"] = (step) =>
    Array.from({ length: answers }, (_, i) => items[order(step * answers + i)]).filter((prompt) => !!prompt);
  const context = resolveContext(settings.context, [longest], most);
  return { prompts, context, longest: Math.min(longest, context) };
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
