import { join } from "node:path";
import { openMachine } from "../backend/machine-settings.ts";
import { counted } from "../core/counted.ts";
import { DataError, SettingsError } from "../core/errors.ts";
import { mostOf } from "../core/most-of.ts";
import { holdOut } from "../data/hold-out.ts";
import type { TaskColumns, TaskExample, TaskKind } from "../data/task-examples.ts";
import { readTaskExamples } from "../data/task-examples.ts";
import type { EncodedExample, TaskBatch } from "../data/task-inputs.ts";
import { encodeExamples, taskBatch } from "../data/task-inputs.ts";
import type { AnsweredExample } from "../eval/bag-of-words.ts";
import { bagOfWordsAccuracy } from "../eval/bag-of-words.ts";
import type { TaskAnswers, TaskReport } from "../eval/task-report.ts";
import { mainMetric, quickMetrics, reportLines, taskReport } from "../eval/task-report.ts";
import { writeFileAtomic } from "../files/atomic-write.ts";
import { freezeBottom } from "../models/freeze-bottom.ts";
import { familyIn } from "../models/load.ts";
import { placementsOf } from "../models/read-model.ts";
import type { TaskDescription } from "../models/task-model.ts";
import { epochBatches, epochSteps } from "../train/epoch-batches.ts";
import { readTask, taskObjective } from "../train/task-objective.ts";
import type { AdapterChoice, AdapterKeeping } from "./adapter-run.ts";
import { adaptFor, addedAtStart, keepingOf, refuseUnkept, startOf, weightsOf } from "./adapter-run.ts";
import { rateOf } from "./adapter-settings.ts";
import { refuseEmbeddingSettings } from "./embedding-settings.ts";
import { prepareEmbedding } from "./finetune-embedding.ts";
import type { Solver } from "./finetune-model.ts";
import { encodingOf, openSolver, solverContents } from "./finetune-model.ts";
import { columnsOf, FinetuneSettings, usualRate } from "./finetune-settings.ts";
import { readFitting } from "./fitted-context.ts";
import { measurement } from "./measurement.ts";
import { noteLongRows, readNotingBad, resolveContext } from "./row-settings.ts";
import type { StageEnvironment, StageRun } from "./stage.ts";
import { defineStage } from "./stage.ts";
import { trainStage } from "./train-stage.ts";

/**
 * Fine-tuning for a task: the inputs of every task become sequences of tokens that a pretrained model reads as they
 * are, with a linear head on the last.
 *
 * @see Radford et al. (2018), "Improving language understanding by generative pre-training", sections 3.2 and 3.3.
 */
export const finetune = defineStage({
  name: "finetune",
  summary: "teach a pretrained model a task: classification, entailment, similarity, multiple choice, embeddings",
  settings: FinetuneSettings,
  beginning: ["task", "model", "adapter"],
  examples: [
    "stemma finetune --task classification --model runs/base/final --data mails.csv --output runs/spam",
    "stemma finetune --task entailment --model runs/base/final --data pairs.jsonl --output runs/entail --freeze-body",
    "stemma finetune --task embedding --model minilm --data questions.csv --text-columns question,answer --output runs/search",
  ],
  async prepare(given, environment) {
    const { task } = given;
    if (task === "embedding") return prepareEmbedding(given, environment);
    const settings: TaskSettings = { ...given, task };
    refuseEmbeddingSettings(task, settings);
    const backend = await openMachine(settings, environment);
    const columns = columnsOf(settings.task, settings);
    const { training, heldOut, labelled } = await readData(settings, columns, environment);
    const labels = labelsOf(labelled, settings, environment);
    if (labels.length > 0) refuseUnlearned(labels, training, settings.validationShare);
    const wanted = { task: settings.task, labels, columns };
    const solver = await openSolver(startOf(settings, environment), wanted, backend, {
      ...settings,
      weights: weightsOf(settings),
      adapters: addedAtStart(settings, environment),
      note: environment.note,
    });
    const family = await familyIn(settings.model);
    const placements = placementsOf(solver.storage.bindings());
    await refuseUnkept({ family, model: solver.model.body, placements }, settings, environment);
    chooseTrained(solver, settings);
    const { examples, evaluation } = await readFitting(
      settings,
      environment,
      async (asked, own) => ({
        examples: await encode(solver, training, asked, own),
        evaluation: await encode(solver, heldOut, asked, own),
      }),
      (data) => ({
        stage: "finetune",
        family,
        ...settings,
        model: solver.model.body,
        ...sizesOf(data.examples, settings),
      }),
    );
    const bagOfWords = (): number | null => bagOfWordsOf(solver.model.description, training, heldOut);
    const run = await solverRun(solver, { examples, evaluation, bagOfWords }, settings, environment);
    const lengths = [...examples, ...evaluation].flatMap(({ inputs }) => inputs.map(({ ids }) => ids.length));
    const context = resolveContext(settings.context, lengths, solver.model.body.settings.context);
    return { ...run, resolved: { ...run.resolved, context } };
  },
});

/** Settings of a run whose model gets a head. */
type TaskSettings = FinetuneSettings & { readonly task: TaskKind };

/** What goes through the model at once, and the longest of it. */
function sizesOf(
  examples: readonly EncodedExample[],
  settings: Pick<FinetuneSettings, "batchSize">,
): { readonly batchSize: number; readonly longest: number } {
  const inputs = mostOf(examples, ({ inputs: choices }) => choices.length);
  const longest = mostOf(examples, ({ inputs: choices }) => mostOf(choices, ({ ids }) => ids.length));
  return { batchSize: settings.batchSize * inputs, longest };
}

/** What a run learns from and is measured by. */
interface SolverData {
  readonly examples: readonly EncodedExample[];
  readonly evaluation: readonly EncodedExample[];
  /** Share of the held-out rows that their words alone give away; null for scores. */
  readonly bagOfWords: () => number | null;
}

async function solverRun(
  solver: Solver,
  { examples, evaluation, bagOfWords }: SolverData,
  settings: FinetuneSettings,
  environment: StageEnvironment,
): Promise<StageRun> {
  const { batchSize, recompute } = settings;
  const { description } = solver.model;
  const steps = epochSteps(examples.length, settings);
  const answers = measurement(settings, () => answersOf(solver, evaluation, batchSize));
  const metric = `eval_${mainMetric(description.task, description.labels.length > 0)}`;
  const weight = settings.freezeBody || !solver.model.languageModel ? 0 : settings.languageModelWeight;
  return trainStage(
    {
      model: solver.model,
      parameters: solver.model.trainable(weight > 0),
      objective: (model, batch: TaskBatch, random) => taskObjective(model, batch, random, weight, { recompute }),
      batches: epochBatches(examples, settings, readBatch),
      async evaluate() {
        if (evaluation.length === 0) return {};
        const metrics = quickMetrics(await answers.now());
        return Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`eval_${name}`, value]));
      },
      sample: async () => {},
      contents: () => solverContents(solver),
      adapters: solverKeeping(solver, settings, environment),
      best: {
        isEvaluated: evaluation.length > 0,
        metric: { name: metric, isHigherBetter: true },
        restore: (source) => solver.storage.load(source),
      },
      async finish() {
        if (evaluation.length === 0) return;
        await report({ ...taskReport(await answers.final()), bagOfWords: bagOfWords() }, environment);
      },
    },
    { ...settings, steps, learningRate: rateOf(settings, usualRate) },
    environment,
  );
}

/** Rows to learn from, rows to be measured by, and those that say which classes there are. */
interface TaskRows {
  readonly training: readonly TaskExample[];
  readonly heldOut: readonly TaskExample[];
  readonly labelled: readonly TaskExample[];
}

async function readData(
  settings: Pick<TaskSettings, "task" | "score" | "data" | "validation" | "validationShare" | "badRows" | "patience">,
  columns: TaskColumns,
  { note, signal }: StageEnvironment,
): Promise<TaskRows> {
  const reading = { task: settings.task, columns, isScore: settings.score, needsLabels: true };
  const read = (paths: readonly string[]): Promise<TaskExample[]> =>
    readNotingBad(settings, { note, signal }, (bad) => readTaskExamples(paths, reading, bad));
  const all = await read(settings.data);
  if (settings.validation.length > 0) return { training: all, heldOut: await read(settings.validation), labelled: all };
  const parts = await holdOut(all, settings.validationShare, ({ inputs }) => JSON.stringify(inputs[0]));
  if (parts.heldOut.length === 0) {
    if (settings.patience > 0) {
      throw new SettingsError(
        `patience: none of the ${counted(all.length, "row")} is held out to find the best model by; name rows with --validation, ` +
          "raise --validation-share, or leave it out",
      );
    }
    note(
      `nothing is held out of ${counted(all.length, "row")}, so that nothing will say how good the model is: ` +
        "give more rows, raise --validation-share, or name other rows with --validation",
    );
  }
  if (parts.heldOut.length > 0) note(`${parts.heldOut.length} of ${counted(all.length, "row")} are held out`);
  return { ...parts, labelled: all };
}

/** Names of the classes in alphabetic order; says how often each is there. */
function labelsOf(
  examples: readonly TaskExample[],
  { task, score }: Pick<TaskSettings, "task" | "score">,
  { note }: StageEnvironment,
): readonly string[] {
  if (task === "multiple-choice" || score) return [];
  const counts = new Map<string, number>();
  for (const { label } of examples) counts.set(String(label), (counts.get(String(label)) ?? 0) + 1);
  const labels = [...counts.keys()].sort();
  if (labels.length < 2) {
    const all = examples.length === 1 ? "the only row is" : `all ${examples.length} rows are`;
    throw new DataError(
      `${examples[0]?.where}: ${all} of one class, "${labels[0]}"; there is nothing to tell apart: ` +
        "add rows of another class, or use --score where labels are numbers",
    );
  }
  const shares = [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([label, count]) => `${label} ${percent(count / examples.length)}`);
  note(
    `${counted(examples.length, "row")} of ${labels.length} classes: ${shares.slice(0, 12).join(", ")}${shares.length > 12 ? ", …" : ""}`,
  );
  return labels;
}

/** A class of which no row is left to learn from would never be said. */
function refuseUnlearned(labels: readonly string[], training: readonly TaskExample[], validationShare: number): void {
  const learned = new Set(training.map(({ label }) => label));
  const unlearned = labels.find((label) => !learned.has(label));
  if (unlearned === undefined) return;
  throw new DataError(
    `data: the rows of class "${unlearned}" all fall into the share of ${validationShare} that is held out; add rows of it, lower ` +
      "--validation-share, or name the rows to evaluate on with --validation",
  );
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** Decides which of the body's parameters learn. */
function chooseTrained(
  { model, tokenizer }: Solver,
  settings: AdapterChoice & Pick<FinetuneSettings, "freezeBody" | "freezeLayers">,
): void {
  const { freezeBody, freezeLayers, loraRank } = settings;
  if (loraRank > 0 && (freezeBody || freezeLayers > 0)) {
    throw new SettingsError(
      "lora-rank: freezes the body's own weights already; leave out --freeze-body and --freeze-layers",
    );
  }
  if (loraRank > 0) {
    adaptFor(settings, model.body);
    for (const parameter of model.head.values()) parameter.requiresGrad = true;
  } else if (freezeBody) model.freezeBody(tokenizer.idOf(model.description.tokens?.extract ?? "") ?? 0);
  else if (freezeLayers > 0) freezeBottom(model.body, freezeLayers);
}

function solverKeeping(
  { model, storage, isEnlarged }: Solver,
  choice: AdapterChoice & Pick<FinetuneSettings, "model">,
  environment: StageEnvironment,
): AdapterKeeping | null {
  const enlarged = isEnlarged && model.languageModel ? [model.languageModel.tokenEmbedding] : [];
  const { bindings } = storage;
  return keepingOf({ model, bindings, taskType: "SEQ_CLS", head: model.head, enlarged }, choice, environment);
}

async function encode(
  solver: Solver,
  rows: readonly TaskExample[],
  settings: Pick<FinetuneSettings, "context" | "longRows">,
  { note, signal }: StageEnvironment,
): Promise<readonly EncodedExample[]> {
  const { labels } = solver.model.description;
  const encoding = encodingOf(solver, settings);
  const found = await encodeExamples(rows, encoding, (row) => targetOf(row, labels), signal);
  const { context } = encoding;
  noteLongRows(note, {
    ...found,
    total: rows.length,
    noun: "rows",
    context,
    model: solver.model.body.settings.context,
  });
  return found.examples;
}

/**
 * What a model shall say of a row: its class by number, its score, or the index of its answer; NaN where it has none.
 *
 * @throws {DataError} when its class is none of the model's.
 */
export function targetOf({ where, label }: TaskExample, labels: readonly string[]): number {
  if (label === null) return Number.NaN;
  if (typeof label === "number") return label;
  const index = classIndex(label, labels);
  if (index !== null) return index;
  throw new DataError(
    `${where}: its class is "${label}", the model knows ${labels.join(", ")}; correct the row, or train with rows of that class`,
  );
}

/** The number of a row's class among those of a model, or null. */
export function classIndex(label: string, labels: readonly string[]): number | null {
  // Classes that nobody has named are LABEL_0, LABEL_1, …; rows then have their numbers.
  return [label, `LABEL_${label}`].map((name) => labels.indexOf(name)).find((at) => at >= 0) ?? null;
}

function readBatch(examples: readonly EncodedExample[]): { batch: TaskBatch; tokens: number } {
  const batch = taskBatch(examples);
  return { batch, tokens: batch.lengths.reduce((a, b) => a + b, 0) };
}

async function answersOf(
  { model }: Solver,
  examples: readonly EncodedExample[],
  batchSize: number,
): Promise<TaskAnswers> {
  const outputs = await readTask(model, examples, 2 * batchSize);
  return { description: model.description, outputs, targets: examples.map(({ target }) => target) };
}

function bagOfWordsOf(
  { task, labels }: TaskDescription,
  training: readonly TaskExample[],
  heldOut: readonly TaskExample[],
): number | null {
  if (task !== "multiple-choice" && labels.length === 0) return null;
  const answered = (row: TaskExample): AnsweredExample => ({ inputs: row.inputs, target: targetOf(row, labels) });
  return bagOfWordsAccuracy(task, training.map(answered), heldOut.map(answered), labels.length);
}

/** Writes the report beside the run's logs, and says it in words. */
async function report(result: TaskReport, { folder, note }: StageEnvironment): Promise<void> {
  await writeFileAtomic(join(folder.path, "report.json"), `${JSON.stringify(result, null, 2)}\n`);
  for (const line of reportLines(result)) note(line);
}
