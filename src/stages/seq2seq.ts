import { join } from "node:path";
import type { Backend } from "../backend/kernels.ts";
import { openMachine } from "../backend/machine-settings.ts";
import { SettingsError } from "../core/errors.ts";
import type { EncodedPair, EncodedPairs } from "../data/encoded-pairs.ts";
import { encodePairs, pairBatch } from "../data/encoded-pairs.ts";
import type { HeldOut } from "../data/hold-out.ts";
import type { TextPairs } from "../data/span-corruption.ts";
import type { TextPairRow } from "../data/text-pair-rows.ts";
import { readTextPairs } from "../data/text-pair-rows.ts";
import { chrF } from "../eval/chrf.ts";
import { writeFileAtomic } from "../files/atomic-write.ts";
import { withoutStart, writeTexts } from "../generate/text-to-text.ts";
import type { EncoderDecoder } from "../models/encoder-decoder.ts";
import type { EncoderDecoderFamily } from "../models/encoder-decoder-family.ts";
import { asEncoderDecoder } from "../models/encoder-decoders/index.ts";
import { otherFamilies } from "../models/index.ts";
import { textToTextOperationsPerToken } from "../models/operations.ts";
import { loadTensors } from "../models/read-model.ts";
import { parameterCount, trainedParameters } from "../nn/parameters.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { epochBatches, epochSteps } from "../train/epoch-batches.ts";
import { sharedLoss } from "../train/mean-loss.ts";
import { textToTextLoss } from "../train/objectives/text-to-text.ts";
import type { Metrics, MicroBatch } from "../train/run.ts";
import { adaptFor, keepingOf, refuseNewAdapted } from "./adapter-run.ts";
import { readHeldOut } from "./held-out.ts";
import { familyOfRun, modelContents, openOtherModel } from "./pretrain/model.ts";
import { noteLongRows, readNotingBad } from "./row-settings.ts";
import { Seq2SeqSettings } from "./seq2seq-settings.ts";
import type { StageEnvironment } from "./stage.ts";
import { defineStage } from "./stage.ts";
import { trainStage } from "./train-stage.ts";
import { withWritingIds, withWritingTokens } from "./writing-tokens.ts";

/**
 * An encoder-decoder, new or pretrained, learns to make one text of another: translation, summaries, spelling.
 *
 * @see Sutskever et al. (2014), "Sequence to sequence learning with neural networks", arXiv:1409.3215; Vaswani et al.
 * (2017), arXiv:1706.03762.
 */
export const seq2seq = defineStage({
  name: "seq2seq",
  summary: "teach an encoder-decoder to make one text of another: translation, summaries",
  settings: Seq2SeqSettings,
  beginning: ["model", "adapter", "tokenizer", "layers", "heads", "width", "dropout"],
  examples: [
    "stemma seq2seq --data pairs.csv --tokenizer bpe-4096 --epochs 5 --output runs/translate",
    "stemma seq2seq --model path/to/flan-t5-small --data rows.jsonl --prefix 'summarize: ' --lora-rank 8 --output runs/summaries",
  ],
  async prepare(settings, environment) {
    const backend = await openMachine(settings, environment);
    const { training, heldOut } = await readData(settings, environment);
    const writer = await openWriter(settings, training, environment, backend);
    const { model, family } = writer;
    adaptFor(settings, model);
    const [pairs, evaluation] = [training, heldOut].map((rows) => encode(writer, rows, settings, environment)) as [
      EncodedPairs,
      EncodedPairs,
    ];
    if (pairs.pairs.length === 0) throw new SettingsError("context: no row is short enough to learn from; raise it");
    describe(writer, pairs, evaluation, environment);
    const { padding } = model.settings;
    const { recompute, labelSmoothing, batchSize } = settings;
    const steps = epochSteps(pairs.pairs.length, settings);
    const read = (chosen: readonly EncodedPair[]): { batch: TextPairs; tokens: number } => {
      const batch = pairBatch(chosen, padding);
      return { batch, tokens: batch.lengths.reduce((a, b) => a + b, 0) + targetCount(batch) };
    };
    const [time, targetTime] = meanLengths(pairs.pairs);
    const peakOperationsPerSecond = backend.peak?.();
    return trainStage(
      {
        model,
        parameters: trainedParameters(model),
        objective: (of: EncoderDecoder, batch: TextPairs, random) =>
          textToTextLoss(of, batch, random, { recompute, labelSmoothing }),
        batches: epochBatches(pairs.pairs, settings, read),
        evaluate: () => evaluate(model, evaluation.pairs, batchSize),
        sample: (step) => sample(writer, evaluation.rows.length > 0 ? evaluation : pairs, step, settings, environment),
        contents: () => modelContents(family, model, writer.tokenizer),
        adapters: keepingOf(
          { model, bindings: () => family.tensors(model), taskType: "SEQ_2_SEQ_LM" },
          settings,
          environment,
        ),
        best: {
          isEvaluated: evaluation.pairs.length > 0,
          restore: (source) => loadTensors(family, model, source),
        },
        finish: () => report(writer, evaluation, settings, environment),
        speed: {
          operationsPerToken: textToTextOperationsPerToken(model, time, targetTime),
          ...(peakOperationsPerSecond === undefined ? {} : { peakOperationsPerSecond }),
        },
      },
      { ...settings, steps },
      environment,
    );
  },
});

/** A model with the tokenizer of what it reads and writes. */
interface Writer {
  readonly model: EncoderDecoder;
  readonly family: EncoderDecoderFamily;
  readonly tokenizer: Tokenizer;
}

function readData(settings: Seq2SeqSettings, environment: StageEnvironment): Promise<HeldOut<TextPairRow>> {
  const columns = { source: settings.sourceColumn, target: settings.targetColumn };
  const read = (paths: readonly string[]): Promise<TextPairRow[]> =>
    readNotingBad(settings, environment, (bad) => readTextPairs(paths, columns, bad));
  return readHeldOut(settings, read, ({ source }) => source);
}

/** @throws {SettingsError} when the model is no encoder-decoder. */
async function openWriter(
  settings: Seq2SeqSettings,
  rows: readonly TextPairRow[],
  environment: StageEnvironment,
  backend: Backend,
): Promise<Writer> {
  const named = await familyOfRun(settings, environment);
  refuseNewAdapted(settings, Object.hasOwn(otherFamilies, settings.model));
  const family = asEncoderDecoder(named);
  if (!family) {
    throw new SettingsError(
      `model: ${settings.model} is a ${named.modelType}, which does not read one text and write another; take transformer, ` +
        "bart, t5 or the folder of one, or teach a decoder with stemma sft",
    );
  }
  const texts = rows.flatMap(({ source, target }) => [settings.prefix + source, target]);
  const { model, tokenizer } = await openOtherModel(
    family,
    { ...settings, texts, textColumn: "", tokenizerKind: "bpe" },
    environment,
    backend,
    { complete: withWritingTokens, shape: withWritingIds },
  );
  return { model, family, tokenizer };
}

function encode(
  { model, tokenizer }: Writer,
  rows: readonly TextPairRow[],
  { context, prefix, longRows }: Seq2SeqSettings,
  { note }: StageEnvironment,
): EncodedPairs {
  const { endOfText, context: own } = model.settings;
  const most = Math.min(context ?? own, own);
  const limits = [most, Math.min(most, model.longestTarget ?? most)] as const;
  const encoded = encodePairs(rows, { tokenizer, endOfText, prefix, most: limits, longRows });
  noteLongRows(note, { ...encoded, total: rows.length, noun: "rows", context: most, model: own });
  return encoded;
}

function describe({ model }: Writer, pairs: EncodedPairs, evaluation: EncodedPairs, { note }: StageEnvironment): void {
  const held = evaluation.pairs.length;
  note(
    `${parameterCount(model).toLocaleString("en-US")} parameters, vocabulary of ${model.settings.vocabularySize}; ` +
      `${pairs.pairs.length.toLocaleString("en-US")} rows to train on, ${held > 0 ? `${held.toLocaleString("en-US")} to evaluate on` : "none held out"}`,
  );
}

/** Mean tokens of what is read and of what is written. */
function meanLengths(pairs: readonly EncodedPair[]): readonly [time: number, targetTime: number] {
  const mean = (length: (pair: EncodedPair) => number): number =>
    pairs.reduce((sum, pair) => sum + length(pair), 0) / pairs.length;
  return [mean(({ source }) => source.length), mean(({ target }) => target.length)];
}

function targetCount({ targets }: TextPairs): number {
  return targets.reduce((count, target) => count + (target >= 0 ? 1 : 0), 0);
}

/** Loss a token over all held-out targets, without smoothing. */
async function evaluate(model: EncoderDecoder, pairs: readonly EncodedPair[], batchSize: number): Promise<Metrics> {
  const total = pairs.reduce((sum, { target }) => sum + target.length, 0);
  const batches = Array.from({ length: Math.ceil(pairs.length / batchSize) }, (_, i): MicroBatch<TextPairs> => {
    const batch = pairBatch(pairs.slice(i * batchSize, (i + 1) * batchSize), model.settings.padding);
    const tokens = targetCount(batch);
    return { batch, share: tokens / total, tokens };
  });
  return sharedLoss(batches, (batch) => ({ loss: textToTextLoss(model, batch, null), metrics: {} }));
}

/** What a model writes for texts, token by token the likeliest. */
async function written(
  { model, tokenizer }: Writer,
  pairs: readonly EncodedPair[],
  { batchSize, maxNewTokens, seed }: Seq2SeqSettings,
  signal: AbortSignal,
): Promise<string[]> {
  const texts: string[] = [];
  for (let first = 0; first < pairs.length; first += batchSize) {
    const sources = pairs.slice(first, first + batchSize).map(({ source }) => source);
    const options = { sampling: { temperature: 0 }, maxNewTokens, seed, tokenizer, signal };
    for (const { tokens } of await writeTexts(model, sources, options)) {
      texts.push(tokenizer.decode(withoutStart(tokens, model, tokenizer)));
    }
  }
  return texts;
}

/** What the model makes of the first held-out texts. */
async function sample(
  writer: Writer,
  { pairs, rows }: EncodedPairs,
  step: number,
  settings: Seq2SeqSettings,
  { sample: show, signal }: StageEnvironment,
): Promise<void> {
  const texts = await written(writer, pairs.slice(0, 3), settings, signal);
  texts.forEach((text, i) => {
    show(step, { prompt: rows[i]?.source ?? "", text, isAnswer: true });
  });
}

/** Compares what the final model writes with the targets of held-out rows, in words and in `report.json`. */
async function report(
  writer: Writer,
  { pairs, rows }: EncodedPairs,
  settings: Seq2SeqSettings,
  { folder, note, signal }: StageEnvironment,
): Promise<void> {
  const count = Math.min(settings.scoredRows, pairs.length);
  if (count === 0) return;
  const texts = await written(writer, pairs.slice(0, count), settings, signal);
  const targets = rows.slice(0, count).map(({ target }) => target);
  const exact = texts.filter((text, i) => text.trim() === targets[i]?.trim()).length / count;
  const result = { rows: count, exactMatch: exact, chrF: chrF(texts, targets) };
  await writeFileAtomic(join(folder.path, "report.json"), `${JSON.stringify(result, null, 2)}\n`);
  note(
    `of ${count} held-out rows ${(100 * exact).toFixed(1)} % are written exactly, chrF ${result.chrF.toFixed(1)} (report.json)`,
  );
}
