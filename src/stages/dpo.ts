import type { Backend } from "../backend/kernels.ts";
import { openMachine } from "../backend/machine-settings.ts";
import { longestAnswer } from "../data/encoded-rankings.ts";
import type { Assistant } from "../generate/assistant.ts";
import { assistantContents, openTrainee, refuseOtherTokenizer } from "../generate/assistant.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { loadTensors } from "../models/read-model.ts";
import { parameters, trainedParameters } from "../nn/parameters.ts";
import type { ChatEncoder } from "../text/encode-chat.ts";
import { epochBatches, epochSteps } from "../train/epoch-batches.ts";
import { sharedLoss } from "../train/mean-loss.ts";
import type { AdapterChoice } from "./adapter-run.ts";
import { adaptFor, keepingOfAssistant, openStart, refuseUnkept, weightsOf } from "./adapter-run.ts";
import { rateOf } from "./adapter-settings.ts";
import { DpoSettings, preferenceLoss, usualRate } from "./dpo-settings.ts";
import { readFitting } from "./fitted-context.ts";
import type { RowReader } from "./fitting-rows.ts";
import { readHeldOutFittingRows } from "./fitting-rows.ts";
import type { PreferenceLearning } from "./preference-learning.ts";
import { judgementLearning, pairLearning, referenceFreeLearning } from "./preference-learning.ts";
import type { StageEnvironment, StageRun } from "./stage.ts";
import { defineStage } from "./stage.ts";
import { trainStage } from "./train-stage.ts";

/**
 * Direct preference optimisation and the losses that came after it. What the reference says of each pair is computed
 * once, before training, so that one model is in memory while it trains; a loss that needs no reference opens none.
 *
 * @see Rafailov et al. (2023), arXiv:2305.18290.
 */
export const dpo = defineStage({
  name: "dpo",
  summary: "learn from preference pairs without a reward model",
  settings: DpoSettings,
  beginning: ["model", "adapter"],
  examples: [
    "stemma dpo --model runs/sft/final --data rankings.jsonl --output runs/dpo",
    "stemma dpo --loss kto --model runs/sft/final --data thumbs.jsonl --output runs/kto",
  ],
  async prepare(settings, environment) {
    const loss = preferenceLoss(settings);
    switch (loss.kind) {
      case "kto":
        return learn(judgementLearning(loss), settings, environment);
      case "orpo":
      case "simpo":
        return learn(referenceFreeLearning(loss), settings, environment);
      default:
        return learn(pairLearning(loss), settings, environment);
    }
  },
});

async function learn<Item, Ready extends Item, Batch>(
  learning: PreferenceLearning<Item, Ready, Batch>,
  settings: DpoSettings,
  environment: StageEnvironment,
): Promise<StageRun> {
  const backend = await openMachine(settings, environment);
  const { policy, data } = await openPolicy(learning, settings, environment, backend);
  const { training, heldOut, context } = data;
  const { batchSize, recompute } = settings;
  const steps = epochSteps(training.length, settings);
  const chosen = epochBatches(training, settings, (batch) => ({ batch, tokens: 0 }));
  const evaluation = learning.batches(
    Array.from({ length: Math.ceil(heldOut.length / batchSize) }, (_, i) =>
      heldOut.slice(i * batchSize, (i + 1) * batchSize),
    ),
  );
  const { kind: _, ...constants } = preferenceLoss(settings);
  const settled = { ...settings, ...constants, steps, context, learningRate: rateOf(settings, usualRate) };
  return trainStage<LanguageModel, Batch>(
    {
      model: policy.model,
      parameters: trainedParameters(policy.model),
      objective: (model, batch) => learning.objective(model, batch, { recompute }),
      batches: (step) => learning.batches(chosen(step).map(({ batch }) => batch)),
      evaluate: () => sharedLoss(evaluation, (batch) => learning.objective(policy.model, batch, {})),
      sample: async () => {},
      contents: () => assistantContents(policy),
      adapters: keepingOfAssistant(policy, settings, environment),
      best: { isEvaluated: heldOut.length > 0, restore: (source) => loadTensors(policy.family, policy.model, source) },
    },
    settled,
    environment,
  );
}

/** Which rows, and what is done with those that cannot be used. */
type RowChoice = Pick<DpoSettings, "data" | "validation" | "validationShare" | "context" | "longRows" | "badRows">;

/** What a run learns from and is measured by, and the context that it takes. */
interface DpoData<Item> {
  readonly training: readonly Item[];
  readonly heldOut: readonly Item[];
  readonly context: number;
}

/**
 * The policy, and the data with what the reference says of it. One that gets adapters is the reference itself, whose
 * work is done; the memory of any other reference is given back first.
 */
async function openPolicy<Item, Ready extends Item, Batch>(
  learning: PreferenceLearning<Item, Ready, Batch>,
  settings: RowChoice &
    AdapterChoice &
    Pick<DpoSettings, "model" | "reference" | "adapter" | "batchSize" | "recompute">,
  environment: StageEnvironment,
  backend: Backend,
): Promise<{ policy: Assistant; data: DpoData<Ready> }> {
  const { refer } = learning;
  if (refer === null) {
    const policy = await openStart(settings, environment, backend);
    const data = await readFittingData(learning, settings, policy, environment);
    adaptFor(settings, policy.model);
    return { policy, data: data as DpoData<Item> as DpoData<Ready> };
  }
  const isStart = settings.reference === null || settings.reference === settings.model;
  const from = settings.reference ?? settings.model;
  const reference = await openTrainee(from, backend, isStart ? settings.adapter : [], weightsOf(settings));
  if (isStart) await refuseUnkept(reference, settings, environment);
  const data = await readFittingData(learning, settings, reference, environment);
  const options = { batchSize: settings.batchSize, context: data.context, signal: environment.signal };
  const training = await refer(reference.model, data.training, options);
  const heldOut = await refer(reference.model, data.heldOut, options);
  const isPolicy = settings.loraRank > 0 && isStart;
  if (!isPolicy) for (const parameter of parameters(reference.model).values()) parameter.release();
  const policy = isPolicy ? reference : await openStart(settings, environment, backend);
  adaptFor(settings, policy.model);
  refuseOtherTokenizer("reference", policy.encoder.tokenizer, reference.encoder.tokenizer);
  return { policy, data: { training, heldOut, context: data.context } };
}

/** @param assistant - Whatever of policy and reference is in memory: they are of one size. */
function readFittingData<Item, Ready extends Item, Batch>(
  learning: PreferenceLearning<Item, Ready, Batch>,
  settings: RowChoice & AdapterChoice & Pick<DpoSettings, "batchSize" | "recompute">,
  assistant: Assistant,
  environment: StageEnvironment,
): Promise<DpoData<Item>> {
  return readFitting(
    settings,
    environment,
    (asked, own) => readData(learning, asked, assistant, own),
    ({ training }) => {
      const longest = longestAnswer(training.flatMap((item) => learning.answersOf(item)));
      return { stage: "dpo", ...settings, ...assistant, longest };
    },
  );
}

function readData<Item, Ready extends Item, Batch>(
  learning: PreferenceLearning<Item, Ready, Batch>,
  settings: RowChoice,
  { model, encoder }: { readonly model: Assistant["model"]; readonly encoder: ChatEncoder },
  environment: StageEnvironment,
): Promise<DpoData<Item>> {
  const reader: RowReader<Item> = {
    noun: learning.noun,
    most: model.settings.context,
    read: (paths, options) => learning.read(paths, encoder, options),
  };
  const promptOf = (item: Item): string => String(learning.answersOf(item)[0].prompt);
  return readHeldOutFittingRows(settings, reader, promptOf, environment);
}
