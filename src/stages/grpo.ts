import type { Backend } from "../backend/kernels.ts";
import { openMachine } from "../backend/machine-settings.ts";
import { SettingsError } from "../core/errors.ts";
import type { Assistant } from "../generate/assistant.ts";
import { assistantContents } from "../generate/assistant.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { trainedParameters } from "../nn/parameters.ts";
import { learningRateAt } from "../optim/schedule.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { GroupRollout, GroupsRolledOut, Grpo } from "../train/grpo.ts";
import { learnFromGroups, rollOutGroups } from "../train/grpo.ts";
import { adaptFor, frozenReference, keepingOfAssistant, openStart } from "./adapter-run.ts";
import type { AskedPrompts } from "./asked-prompts.ts";
import { askedPrompts } from "./asked-prompts.ts";
import { momentsOf, restoreStage } from "./checkpoints.ts";
import { readFitting } from "./fitted-context.ts";
import { GrpoStageSettings } from "./grpo-settings.ts";
import { answerSampling, refuseEmptyUpdates } from "./iteration-settings.ts";
import type { Iterations } from "./iterations.ts";
import { isDue, iterate } from "./iterations.ts";
import { resolvedSettings } from "./resolved-settings.ts";
import { openRewardFunctions, refuseMissingColumns } from "./reward-functions.ts";
import type { StageEnvironment } from "./stage.ts";
import { defineStage } from "./stage.ts";
import { newOptimizer } from "./train-stage.ts";

/**
 * Reinforcement learning from programs or models that judge answers, by comparing several answers to each prompt: no
 * critic is learned.
 *
 * @see Shao et al. (2024), "DeepSeekMath", section 4, arXiv:2402.03300.
 */
export const grpo = defineStage({
  name: "grpo",
  summary: "learn by trial what a program or a reward model likes, from groups of answers",
  settings: GrpoStageSettings,
  beginning: ["model", "adapter"],
  examples: [
    "stemma grpo --model runs/sft/final --prompts sums.jsonl --reward exact --output runs/grpo",
    "stemma grpo --model runs/sft/final --prompts prompts.jsonl --reward reward.mjs --reward-pattern '^\\S' " +
      "--reward-weights 1 0.2 --beta 0.04 --output runs/grpo",
  ],
  async prepare(settings, environment) {
    const { answers, generations, passes, miniBatches, steps } = settings;
    if (answers % generations !== 0) {
      throw new SettingsError(
        `answers: ${answers} are no multiple of ${generations} generations; use ${Math.ceil(answers / generations) * generations}`,
      );
    }
    refuseEmptyUpdates(settings);
    const backend = await openMachine(settings, environment);
    const { checkpoint } = environment.folder;
    const policy = await openStart(settings, environment, backend);
    adaptFor(settings, policy.model);
    const perStep = answers / generations;
    const asked = await readFitting(
      settings,
      environment,
      (fitting, own) => askedPrompts(policy, { ...fitting, perStep, isByRow: true }, own),
      ({ longest }) => ({ stage: "grpo", ...settings, ...policy, longest, keepsReference: settings.beta > 0 }),
    );
    const run = await prepareGrpo(policy, asked, settings, backend);
    if (checkpoint) {
      const { updates } = await restoreStage(checkpoint.path, tensorsOf(run, settings));
      run.optimizer.step = Number(updates ?? checkpoint.step * passes * miniBatches);
    }
    const firstStep = checkpoint?.step ?? 0;
    const settled = { ...settings, epsilonHigh: run.settings.epsilonHigh, context: asked.context };
    const resolved = resolvedSettings(settled, trainedParameters(policy.model), assistantContents(policy).config);
    const iterations = iterationsOf(run, policy, settings, environment);
    const train = (signal: AbortSignal) => iterate(iterations, settings, environment, firstStep, signal);
    return { steps, firstStep, resolved, train };
  },
});

/** Opens everything else; whatever can be wrong with the settings is found here. */
async function prepareGrpo(
  policy: Assistant,
  { at, all }: AskedPrompts,
  settings: GrpoStageSettings,
  backend: Backend,
): Promise<Grpo> {
  const { tokenizer } = policy.encoder;
  const rewards = await openRewardFunctions(settings, backend, tokenizer);
  refuseMissingColumns(rewards, all);
  const { epsilon, schedule: shape } = settings;
  return {
    policy: policy.model,
    reference: await referenceOf(policy, settings, backend),
    optimizer: newOptimizer(trainedParameters(policy.model), settings),
    schedule: (step) => learningRateAt(step, { ...settings, shape, finalShare: 0 }),
    prompts: at,
    ...{ rewards, tokenizer },
    settings: {
      ...settings,
      epsilonHigh: settings.epsilonHigh ?? epsilon,
      sampling: answerSampling(settings, policy.encoder),
    },
  };
}

async function referenceOf(
  policy: Assistant,
  settings: GrpoStageSettings,
  backend: Backend,
): Promise<LanguageModel | null> {
  const { beta, reference } = settings;
  if (beta > 0) return frozenReference(policy, settings, backend);
  if (reference === null) return null;
  throw new SettingsError(`reference: ${reference} is given, and --beta is 0, which looks at none; raise --beta`);
}

/** What a checkpoint holds beside the policy's weights: of adapters all that was learned. */
function tensorsOf({ policy, optimizer }: Grpo, { loraRank }: GrpoStageSettings): Map<string, Tensor> {
  const learned = loraRank > 0 ? [...trainedParameters(policy)] : [];
  return new Map<string, Tensor>([...learned, ...momentsOf(optimizer)]);
}

function iterationsOf(
  run: Grpo,
  policy: Assistant,
  settings: GrpoStageSettings,
  environment: StageEnvironment,
): Iterations<GroupsRolledOut> {
  let hasWarned = false;
  return {
    state: {
      model: () => assistantContents(policy),
      tensors: () => tensorsOf(run, settings),
      trainer: () => ({ updates: run.optimizer.step }),
    },
    adapters: keepingOfAssistant(policy, settings, environment),
    rollOut: (step, signal) => rollOutGroups(run, step, signal),
    verdict: () => null,
    learn: (step, rolled, signal) => learnFromGroups(run, step, rolled, signal),
    tell(step, metrics, { rollouts }) {
      environment.log(step, metrics);
      const isStuck = metrics.frac_reward_zero_std === 1;
      if (isStuck && !hasWarned) environment.note(`step ${step}: ${stuck}`);
      hasWarned = isStuck;
      if (!isDue(settings.sampleEvery, step) && step !== settings.steps) return;
      for (const rollout of rollouts.slice(0, 3)) environment.sample(step, shown(rollout, policy));
    },
  };
}

const stuck =
  "in no group do the answers' rewards differ, so that nothing is learned; make the task easier or the reward finer, or " +
  "raise --generations or --temperature";

function shown(rollout: GroupRollout, { encoder }: Assistant): { prompt: string; text: string } {
  const { prompt, completion, reward, rewards, advantage, ended } = rollout;
  const judged = { reward, rewards, advantage, ended };
  return { prompt: encoder.tokenizer.decode(prompt), text: completion, ...judged };
}
