import type { ChosenToken } from "../backend/token-choice.ts";
import { NumericalError } from "../core/errors.ts";
import type { PassPart } from "../generate/decoder.ts";
import { Decoder } from "../generate/decoder.ts";
import { scoreTokens } from "../generate/score.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { Likelihood, Report } from "./scorer.ts";

/** Tokens whose probability is asked for, and those before them. Neither is empty. */
export interface TokenRequest {
  readonly context: Int32Array;
  readonly continuation: Int32Array;
}

/**
 * Scores each request by itself; some of them go through the model together.
 *
 * @throws {unknown} the reason of `signal` when that is aborted.
 */
export async function likelihoodsAlone(
  model: LanguageModel,
  requests: readonly TokenRequest[],
  batchTokens: number,
  report: Report,
  signal?: AbortSignal,
): Promise<Likelihood[]> {
  const questions = requests.map((request) => [request]);
  const found = await likelihoodsOfChoices(model, questions, batchTokens, report, signal);
  return found.flat();
}

/**
 * Scores the choices of each question. Choices of a question have the same context, which is read once: its keys and
 * values are copied for each choice, and only the choices' own tokens go through the model for each. Texts lie back to back
 * in a pass, whatever their lengths.
 *
 * @throws {unknown} the reason of `signal` when that is aborted.
 */
export async function likelihoodsOfChoices(
  model: LanguageModel,
  questions: readonly (readonly TokenRequest[])[],
  batchTokens: number,
  report: Report,
  signal?: AbortSignal,
): Promise<Likelihood[][]> {
  const longest = (choices: readonly TokenRequest[]): number =>
    choices.reduce((n, { context, continuation }) => Math.max(n, context.length + continuation.length), 0);
  // A batch is as large as its cache: every choice holds its context.
  const size = (choices: readonly TokenRequest[]): number => longest(choices) * choices.length;
  const out: Likelihood[][] = [];
  let done = 0;
  for (const batch of batchesByLength(questions, size, batchTokens)) {
    signal?.throwIfAborted();
    const some = batch.map((i) => questions[i] as readonly TokenRequest[]);
    const found = await scoreQuestions(model, some, Math.max(...some.map(longest)));
    for (const [k, i] of batch.entries()) out[i] = found[k] as Likelihood[];
    done += batch.length;
    report(done);
  }
  return out;
}

async function scoreQuestions(
  model: LanguageModel,
  questions: readonly (readonly TokenRequest[])[],
  capacity: number,
): Promise<Likelihood[][]> {
  const decoder = new Decoder(model, questions.flat().length, capacity);
  try {
    const slots = await readContexts(decoder, questions);
    const choices = questions.flat();
    const parts = choices.map(({ context, continuation }, slot): PassPart => {
      const known = slots[slot] ?? 0;
      const tokens = Int32Array.of(...context.subarray(known), ...continuation.subarray(0, -1));
      return { slot, tokens, first: tokens.length - continuation.length, rows: continuation.length };
    });
    const targets = choices.flatMap(({ continuation }) => [...continuation]);
    const rest = await scoreTokens(model, decoder, parts, targets);
    return questions.map((own) => own.map(({ continuation }) => likelihoodOf(rest.splice(0, continuation.length))));
  } finally {
    decoder.release();
  }
}

/**
 * Reads the contexts of questions, all but the last token of each, into the slots of their choices, in order. What stands
 * alone is read with its continuation instead, but for what a prefix model sees all at once.
 *
 * @returns how many tokens each slot holds.
 */
async function readContexts(decoder: Decoder, questions: readonly (readonly TokenRequest[])[]): Promise<number[]> {
  let slots = 0;
  const placed = questions.map((choices) => {
    const first = slots;
    slots += choices.length;
    const isShared = choices.length > 1 || decoder.readsPrefix;
    return { first, count: choices.length, context: (isShared && choices[0]?.context.subarray(0, -1)) || noTokens };
  });
  const read = placed.filter(({ context }) => context.length > 0);
  const parts = read.map(({ first, context }) => ({ slot: first, tokens: context, first: 0, rows: 0 }));
  if (parts.length > 0) await decoder.pass(parts, () => Promise.resolve([]));
  for (const { first, count, context } of read) {
    for (let slot = first + 1; slot < first + count; slot++) decoder.fork(first, slot, context.length);
  }
  return placed.flatMap(({ count, context }) => new Array<number>(count).fill(context.length));
}

const noTokens = new Int32Array(0);

function likelihoodOf(chosen: readonly ChosenToken[]): Likelihood {
  const logProb = chosen.reduce((sum, { logprob }) => sum + (logprob ?? Number.NaN), 0);
  if (Number.isNaN(logProb) || chosen.some(({ token }) => token < 0)) {
    throw new NumericalError("eval: the model gives NaN instead of probabilities; its weights are damaged");
  }
  return { logProb, isGreedy: chosen.every(({ token, top }) => token === top[0]?.token) };
}

/**
 * Indices of items, the longest first, in batches whose number of items times the size of the largest is at most
 * `budget`; an item that is larger by itself makes its own.
 */
function batchesByLength<Item>(items: readonly Item[], size: (item: Item) => number, budget: number): number[][] {
  const sizes = items.map(size);
  const order = [...items.keys()].sort((a, b) => (sizes[b] ?? 0) - (sizes[a] ?? 0));
  const batches: number[][] = [];
  let batch: number[] = [];
  for (const index of order) {
    const largest = sizes[batch[0] ?? index] ?? 1;
    if (batch.length > 0 && (batch.length + 1) * largest > budget) {
      batches.push(batch);
      batch = [];
    }
    batch.push(index);
  }
  return batch.length > 0 ? [...batches, batch] : batches;
}
