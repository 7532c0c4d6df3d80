import type { Backend } from "../../backend/kernels.ts";
import { SettingsError } from "../../core/errors.ts";
import type { MaskedBatch } from "../../data/masked-words.ts";
import type { TaskBatch } from "../../data/task-inputs.ts";
import type { BertForPretraining, BertSettings } from "../../models/bert.ts";
import { bert, bertClassifier } from "../../models/bert-families.ts";
import { EncoderTaskModel } from "../../models/encoder-task-model.ts";
import { freeze, Initializer, trainedParameters } from "../../nn/parameters.ts";
import { maskedWordsLoss } from "../../train/objectives/masked-words.ts";
import type { Objective } from "../../train/run.ts";
import { taskObjective } from "../../train/task-objective.ts";
import type { PlannedEncoder } from "./plan-models.ts";
import type { Mark, PlannedRun, PreparedStep } from "./prepared-step.ts";
import { adaptPlanned, plannedTask, someToken, trainingStep } from "./prepared-step.ts";

/** One word in seven is to be named, about as many as in pretraining. */
const isChosen = (place: number): boolean => place % 7 === 0;

/**
 * As for decoders, for a BERT.
 *
 * @throws {SettingsError} for the stages of models that write.
 */
export function prepareEncoderStep(
  backend: Backend,
  { settings, formats = [] }: PlannedEncoder,
  run: PlannedRun,
  mark: Mark,
): PreparedStep {
  const init = new Initializer(backend, null, Number.POSITIVE_INFINITY, run.loraRank > 0 ? formats : []);
  if (run.stage === "pretrain") return maskedWordsStep(init, settings, run, mark);
  if (run.stage === "finetune") return taskStep(init, settings, run, mark);
  throw new SettingsError(`stage: BERT writes no text, so that there is no ${run.stage}; plan pretrain or finetune`);
}

function maskedWordsStep(init: Initializer, settings: BertSettings, run: PlannedRun, mark: Mark): PreparedStep {
  const { batchSize, context, recompute } = run;
  const model = bert.create(settings, init);
  if (run.loraRank > 0) freeze(model);
  adaptPlanned(model.body, run);
  const inputs = new Int32Array(batchSize * context).fill(someToken);
  const batch: MaskedBatch = {
    ...{ inputs, targets: inputs.map((id, i) => (isChosen(i) ? id : -1)), batch: batchSize, time: context },
    segments: new Int32Array(inputs.length),
    lengths: new Int32Array(batchSize).fill(context),
    relationships: new Int32Array(batchSize),
  };
  const objective: Objective<BertForPretraining, MaskedBatch> = (own, some, random) =>
    maskedWordsLoss(own, some, random, { recompute });
  return trainingStep(model, model, trainedParameters(model), { objective, batch, tokens: inputs.length }, mark);
}

function taskStep(init: Initializer, settings: BertSettings, run: PlannedRun, mark: Mark): PreparedStep {
  const { description, batch } = plannedTask(run);
  const head = { task: "sequence-classification" as const, labels: [...description.labels] };
  const classifier = bertClassifier.create({ ...settings, ...head }, init);
  const model = new EncoderTaskModel(description, classifier, 0);
  adaptPlanned(model.body, run);
  if (run.loraRank === 0 && run.freezeBody) model.freezeBody();
  const objective: Objective<EncoderTaskModel, TaskBatch> = (own, some, random) =>
    taskObjective(own, some, random, 0, run);
  return trainingStep(
    classifier,
    model,
    model.trainable(),
    { objective, batch, tokens: run.batchSize * run.context },
    mark,
  );
}
