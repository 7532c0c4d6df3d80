import type { BadRows } from "../data/bad-rows.ts";
import type { EncodedAnswer, EncodedJudgement, EncodedPreference, FittingOptions } from "../data/encoded-rankings.ts";
import { encodeJudgements, encodePreferences } from "../data/encoded-rankings.ts";
import { readJudgements } from "../data/judgements.ts";
import { pairsOf, readRankings } from "../data/rankings.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { ChatEncoder } from "../text/encode-chat.ts";
import type { AnswerReading } from "../train/answers.ts";
import type { JudgementBatch, ReferencedJudgement } from "../train/judgement-batch.ts";
import { judgementBatches, ktoObjective, referenceJudgements } from "../train/judgement-batch.ts";
import type { DpoOptions } from "../train/objectives/dpo.ts";
import type { KtoOptions } from "../train/objectives/kto.ts";
import type { ReferencedPair, ReferenceFreeOptions } from "../train/preference-batch.ts";
import { dpoObjective, referenceFreeObjective, referencePairs } from "../train/preference-batch.ts";
import type { MeasuredLoss, MicroBatch } from "../train/run.ts";
import type { ReadItems } from "./fitting-rows.ts";

/** How the computing of what the reference says is done. */
export interface ReferenceOptions {
  readonly batchSize: number;
  /** Most tokens that go through the model. */
  readonly context: number;
  readonly signal: AbortSignal;
}

/** What one loss of preferences reads, and how it learns from that. */
export interface PreferenceLearning<Item, Ready, Batch> {
  /** What the items are, as in `pairs`. */
  readonly noun: string;
  read(
    paths: readonly string[],
    encoder: ChatEncoder,
    options: FittingOptions & { bad: BadRows },
  ): Promise<ReadItems<Item>>;
  /** All answers of an item, the first of which has its prompt. */
  answersOf(item: Item): readonly [EncodedAnswer, ...EncodedAnswer[]];
  /** What the reference says, once for all; null where the loss needs none, and items are ready as they are. */
  readonly refer:
    | ((reference: LanguageModel, items: readonly Item[], options: ReferenceOptions) => Promise<Ready[]>)
    | null;
  /** The micro-batches of a step from its items. */
  batches(chunks: readonly (readonly Ready[])[]): MicroBatch<Batch>[];
  objective(model: LanguageModel, batch: Batch, reading: AnswerReading): MeasuredLoss;
}

const readPairs: PreferenceLearning<EncodedPreference, never, never>["read"] = async (paths, encoder, options) => {
  const pairs = (await readRankings(paths, options.bad)).flatMap(pairsOf);
  return { ...(await encodePreferences(pairs, encoder, options)), total: pairs.length };
};

/** Learning from pairs that a reference was asked about: the losses of `dpoLoss`. */
export function pairLearning(
  options: DpoOptions,
): PreferenceLearning<EncodedPreference, ReferencedPair, readonly ReferencedPair[]> {
  return {
    noun: "pairs",
    read: readPairs,
    answersOf: ({ chosen, rejected }) => [chosen, rejected],
    refer: (reference, pairs, { batchSize, signal }) => referencePairs(reference, pairs, batchSize, options, signal),
    batches: pairBatches,
    objective: (model, pairs, reading) => dpoObjective(model, pairs, options, reading),
  };
}

/** Learning from pairs without a reference. */
export function referenceFreeLearning(
  options: ReferenceFreeOptions,
): PreferenceLearning<EncodedPreference, EncodedPreference, readonly EncodedPreference[]> {
  return {
    noun: "pairs",
    read: readPairs,
    answersOf: ({ chosen, rejected }) => [chosen, rejected],
    refer: null,
    batches: pairBatches,
    objective: (model, pairs, reading) => referenceFreeObjective(model, pairs, options, reading),
  };
}

/** Learning from single answers that are wanted or not. */
export function judgementLearning(
  options: KtoOptions,
): PreferenceLearning<EncodedJudgement, ReferencedJudgement, JudgementBatch> {
  return {
    noun: "answers",
    async read(paths, encoder, fitting) {
      const judgements = await readJudgements(paths, fitting.bad);
      return { ...(await encodeJudgements(judgements, encoder, fitting)), total: judgements.length };
    },
    answersOf: ({ answered }) => [answered],
    refer: (reference, judgements, { batchSize, context, signal }) =>
      referenceJudgements(reference, judgements, batchSize, context, signal),
    batches: judgementBatches,
    objective: (model, batch, reading) => ktoObjective(model, batch, options, reading),
  };
}

function pairBatches<Pair extends EncodedPreference>(
  chunks: readonly (readonly Pair[])[],
): MicroBatch<readonly Pair[]>[] {
  const total = chunks.reduce((sum, { length }) => sum + length, 0);
  const tokensOf = (answers: readonly EncodedAnswer[]): number =>
    answers.reduce((sum, { prompt, answer }) => sum + prompt.length + answer.length, 0);
  return chunks.map((batch) => ({
    batch,
    share: batch.length / total,
    tokens: tokensOf(batch.flatMap(({ chosen, rejected }) => [chosen, rejected])),
  }));
}
