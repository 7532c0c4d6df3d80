import { join } from "node:path";
import { openMachine } from "../backend/machine-settings.ts";
import { DataError, SettingsError } from "../core/errors.ts";
import { inTurns, turnEventLoopWhenDue } from "../core/event-loop.ts";
import { mostOf } from "../core/most-of.ts";
import type { EmbeddingRow } from "../data/embedding-rows.ts";
import { readEmbeddingRows } from "../data/embedding-rows.ts";
import type { HeldOut } from "../data/hold-out.ts";
import { embeddingLines, embeddingMetrics, mainEmbeddingMetric } from "../eval/embedding-report.ts";
import { writeFileAtomic } from "../files/atomic-write.ts";
import type { EmbeddingInput } from "../generate/embed.ts";
import { embeddingInput, embedInputs, promptOf } from "../generate/embed.ts";
import type { Embedder } from "../generate/embedder.ts";
import { embedderContents, openEmbedder } from "../generate/embedder.ts";
import { EmbeddingModel } from "../models/embedding-model.ts";
import { freezeBottom } from "../models/freeze-bottom.ts";
import { anyFamilyIn } from "../models/read-model.ts";
import type { SentenceModules } from "../models/sentence-modules.ts";
import { trainedParameters } from "../nn/parameters.ts";
import type { EmbeddingLoss, EmbeddingTrainingBatch, EncodedRow } from "../train/embedding-batch.ts";
import { embeddingObjective, embeddingTrainingBatch } from "../train/embedding-batch.ts";
import { epochBatches, epochSteps } from "../train/epoch-batches.ts";
import type { Metrics } from "../train/run.ts";
import { adaptFor, addedAtStart, keepingOf, startOf } from "./adapter-run.ts";
import { rateOf } from "./adapter-settings.ts";
import { isScored, lossFor } from "./embedding-loss.ts";
import type { FinetuneSettings } from "./finetune-settings.ts";
import { usualRate } from "./finetune-settings.ts";
import { readFitting } from "./fitted-context.ts";
import { readHeldOut } from "./held-out.ts";
import { measurement } from "./measurement.ts";
import { longestContext, noteLongRows, readNotingBad } from "./row-settings.ts";
import type { StageEnvironment, StageRun } from "./stage.ts";
import { trainStage } from "./train-stage.ts";

/**
 * Fine-tuning a model for embeddings: texts that belong together become alike, as pairs, triplets or scores say.
 *
 * @throws {SettingsError} when settings do not fit each other or the model.
 * @throws {DataError} when rows cannot be used, or do not fit the loss.
 */
export async function prepareEmbedding(settings: FinetuneSettings, environment: StageEnvironment): Promise<StageRun> {
  refuseOtherSettings(settings);
  const backend = await openMachine(settings, environment);
  const { training, heldOut } = await readRows(settings, environment);
  const loss = lossFor(settings, training);
  const start = startOf(settings, environment);
  const adapters = addedAtStart(settings, environment);
  const opened = await openEmbedder(start, backend, { pooling: settings.pooling, note: environment.note, adapters });
  const { body } = opened.model;
  if (settings.loraRank > 0) adaptFor(settings, body.model);
  else if (settings.freezeLayers > 0) freezeBottom(body.model, settings.freezeLayers);
  const family = anyFamilyIn(body.config({ endOfText: null }), settings.model);
  const { embedder, rows, evaluation } = await readFitting(
    settings,
    environment,
    async (asked, own) => {
      const embedder = withSettings(opened, asked, isScored(training));
      const encode = (some: readonly EmbeddingRow[]): Promise<readonly EncodedRow[]> =>
        encodeRows(embedder, some, asked, own);
      return { embedder, rows: await encode(training), evaluation: await encode(heldOut) };
    },
    (data) => ({ stage: "finetune", family, ...settings, model: body.model, ...sizesOf(data.rows, settings) }),
  );
  const run = await embeddingRun(embedder, { rows, evaluation, loss }, settings, environment);
  return { ...run, resolved: { ...run.resolved, context: embedder.maxLength, loss: loss.kind } };
}

/** What goes through the model at once, and the longest of it. */
function sizesOf(
  rows: readonly EncodedRow[],
  { batchSize }: Pick<FinetuneSettings, "batchSize">,
): { readonly batchSize: number; readonly longest: number } {
  const longest = mostOf(rows, ({ inputs }) => mostOf(inputs, ({ ids }) => ids.length));
  return { batchSize: batchSize * (rows[0]?.inputs.length ?? 1), longest };
}

/** What a run learns from and is measured by. */
interface EmbeddingData {
  readonly rows: readonly EncodedRow[];
  readonly evaluation: readonly EncodedRow[];
  readonly loss: EmbeddingLoss;
}

async function embeddingRun(
  embedder: Embedder,
  { rows, evaluation, loss }: EmbeddingData,
  settings: FinetuneSettings,
  environment: StageEnvironment,
): Promise<StageRun> {
  const { model } = embedder;
  const { body } = model;
  const { recompute } = settings;
  const { folder, note } = environment;
  const measured = measurement(settings, (signal) => measure(model, evaluation, 2 * settings.batchSize, signal));
  const { context } = body.model.settings;
  const run = await trainStage(
    {
      model,
      parameters: trainedParameters(body.model),
      objective: (own, batch: EmbeddingTrainingBatch, random) =>
        embeddingObjective(own, batch, random, loss, recompute),
      batches: epochBatches(rows, settings, (some) => readBatch(some, context)),
      evaluate: async () => (evaluation.length === 0 ? {} : measured.now()),
      sample: async () => {},
      contents: () => embedderContents(embedder),
      adapters: keepingOf(
        { model: body.model, bindings: () => body.bindings(), taskType: "FEATURE_EXTRACTION" },
        settings,
        environment,
      ),
      best: {
        isEvaluated: evaluation.length > 0,
        metric: { name: `eval_${mainEmbeddingMetric(isScored(rows))}`, isHigherBetter: true },
        restore: (source) => body.load(source),
      },
      async finish() {
        if (evaluation.length === 0) return;
        const first = (await folder.history()).find(({ step }) => step === 0) ?? null;
        const before = first && withoutPrefix(first as unknown as Metrics);
        const after = withoutPrefix(await measured.final());
        const report = { rows: evaluation.length, before, after };
        await writeFileAtomic(join(folder.path, "report.json"), `${JSON.stringify(report, null, 2)}\n`);
        for (const line of embeddingLines(evaluation.length, before, after)) note(line);
      },
    },
    { ...settings, steps: epochSteps(rows.length, settings), learningRate: rateOf(settings, usualRate) },
    environment,
  );
  return {
    ...run,
    async train(signal) {
      if (evaluation.length > 0 && folder.checkpoint === null) {
        environment.log(0, await measured.now(signal));
      }
      return run.train(signal);
    },
  };
}

function readBatch(
  rows: readonly EncodedRow[],
  context: number,
): { readonly batch: EmbeddingTrainingBatch; readonly tokens: number } {
  const batch = embeddingTrainingBatch(rows, context);
  const tokens = batch.columns.flatMap(({ lengths }) => [...lengths]).reduce((a, b) => a + b, 0);
  return { batch, tokens };
}

async function measure(
  model: EmbeddingModel,
  rows: readonly EncodedRow[],
  batchSize: number,
  signal?: AbortSignal,
): Promise<Metrics> {
  const inputs = new Map<string, EmbeddingInput>();
  // One text may stand behind two prompts.
  const keyOf = (text: string, place: number): string => `${place > 0 ? 1 : 0}${text}`;
  for (const row of rows) {
    for (const [place, text] of row.texts.entries())
      inputs.set(keyOf(text, place), row.inputs[place] as EmbeddingInput);
  }
  const vectors = await embedInputs(model, [...inputs.values()], { batchSize, ...(signal && { signal }) });
  const byKey = new Map([...inputs.keys()].map((key, i) => [key, vectors[i] as Float32Array]));
  const measuring = embeddingMetrics({
    texts: rows.map(({ texts }) => texts),
    scores: rows.map(({ score }) => score),
    vectorOf: (text, place) => byKey.get(keyOf(text, place)) ?? new Float32Array(0),
    similarity: model.modules.similarity,
  });
  const metrics = await inTurns(measuring, signal);
  return Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`eval_${name}`, value]));
}

function withoutPrefix(metrics: Metrics): Record<string, number> {
  const own = Object.entries(metrics).filter(([name]) => name.startsWith("eval_"));
  return Object.fromEntries(own.map(([name, value]) => [name.slice("eval_".length), value]));
}

function refuseOtherSettings({ score, freezeBody, weights = "float32" }: FinetuneSettings): void {
  if (score)
    throw new SettingsError("score: is for labels of similarity; scored pairs of embeddings have a column score");
  if (weights !== "float32") {
    throw new SettingsError(`weights: embeddings are learned on float32 matrices, not on ${weights}; leave it out`);
  }
  if (freezeBody) throw new SettingsError("freeze-body: an embedding has no head that could learn alone; leave it out");
}

async function readRows(
  settings: FinetuneSettings,
  { note, signal }: StageEnvironment,
): Promise<HeldOut<EmbeddingRow>> {
  const columns = { texts: settings.textColumns, score: settings.labelColumn };
  const read = (paths: readonly string[]): Promise<EmbeddingRow[]> =>
    readNotingBad(settings, { note, signal }, (bad) => readEmbeddingRows(paths, columns, bad));
  const parts = await readHeldOut(settings, read, ({ texts }) => texts[0] ?? "");
  const heldOut = parts.heldOut.length;
  note(`${parts.training.length} rows to learn from, ${heldOut === 0 ? "none" : heldOut} held out`);
  return parts;
}

/** The same embedder with the prompts and the length that settings ask for, which its folder will say. */
function withSettings(opened: Embedder, settings: FinetuneSettings, scored: boolean): Embedder {
  const { body, modules } = opened.model;
  const { anchorPrompt, positivePrompt } = settings;
  if (scored && positivePrompt !== null) {
    throw new SettingsError(
      "positive-prompt: scored pairs have no positives; --anchor-prompt is put before both texts",
    );
  }
  const prompts = {
    ...modules.prompts,
    ...(anchorPrompt !== null && { query: anchorPrompt }),
    ...(positivePrompt !== null && { document: positivePrompt }),
  };
  const defaultPrompt = scored && anchorPrompt !== null ? "query" : modules.defaultPrompt;
  const maxLength =
    settings.context === null ? opened.maxLength : longestContext(settings.context, body.model.settings.context);
  return { ...opened, maxLength, model: new EmbeddingModel(body, { ...modules, prompts, defaultPrompt }) };
}

/** The text before the first text of a row, and that before the others. */
function promptsOf(modules: SentenceModules, scored: boolean): readonly [first: string, others: string] {
  const own = promptOf(modules);
  const { query = own, document, passage = own } = modules.prompts;
  return scored ? [own, own] : [query, document ?? passage];
}

async function encodeRows(
  embedder: Embedder,
  rows: readonly EmbeddingRow[],
  { longRows }: FinetuneSettings,
  { note, signal }: StageEnvironment,
): Promise<readonly EncodedRow[]> {
  const [first, others] = promptsOf(embedder.model.modules, isScored(rows));
  const all: EncodedRow[] = [];
  for (const { texts, ...row } of rows) {
    await turnEventLoopWhenDue();
    signal.throwIfAborted();
    const inputs = texts.map((text, place) => embeddingInput(embedder, text, place === 0 ? first : others));
    all.push({ ...row, texts, inputs });
  }
  const context = embedder.maxLength;
  const tokensOf = ({ inputs }: EncodedRow): number => mostOf(inputs, ({ tokens }) => tokens);
  const long = all.filter((row) => tokensOf(row) > context);
  const [longer] = long;
  if (!longer) return all;
  if (longRows === "error") {
    throw new DataError(
      `${longer.where}: has ${tokensOf(longer)} tokens with those that frame it, the context is ${context}; shorten it, raise --context ` +
        "where the model reads more, or choose --long-rows truncate or skip",
    );
  }
  const kept = longRows === "skip" ? all.filter((row) => tokensOf(row) <= context) : all;
  const skipped = all.length - kept.length;
  const about = { skipped, truncated: long.length - skipped, total: all.length, noun: "rows", context };
  const model = embedder.model.body.model.settings.context;
  noteLongRows(note, { ...about, longest: mostOf(long, tokensOf), model });
  if (kept.length > 0) return kept;
  throw new DataError(
    `${longer.where}: all rows are longer than the context of ${context} tokens; choose --long-rows truncate`,
  );
}
