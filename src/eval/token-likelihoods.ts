import { NumericalError } from "../core/errors.ts";
import { paddedBatch } from "../data/padded-batch.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { ForwardOptions } from "../nn/attention.ts";
import type { KeyValueCache } from "../nn/key-value-cache.ts";
import { withoutGradients } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Likelihood, Report } from "./scorer.ts";

/** Tokens whose probability is asked for, and those before them. Neither is empty. */
export interface TokenRequest {
  readonly context: Int32Array;
  readonly continuation: Int32Array;
}

/** Logits that exist at one time, at most: 4 M numbers, 16 MB. */
const chunkElements = 1 << 22;

/**
 * Scores each request by itself; those of like length go through the model together.
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
  const length = ({ context, continuation }: TokenRequest): number => context.length + continuation.length - 1;
  const out: Likelihood[] = [];
  let done = 0;
  for (const batch of batchesByLength(requests, length, batchTokens)) {
    signal?.throwIfAborted();
    const rows = batch.map((i) => {
      const { context, continuation } = requests[i] as TokenRequest;
      return { ids: Int32Array.of(...context, ...continuation.subarray(0, -1)), targets: continuation };
    });
    const found = await lastTokens(model, rows, null);
    for (const [k, i] of batch.entries()) out[i] = found[k] as Likelihood;
    done += batch.length;
    report(done);
  }
  return out;
}

/**
 * Scores the choices of each question. Choices of a question have the same context, which is read once: its keys and
 * values are copied for each choice, and only the choices' own tokens go through the model for each.
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
  const choices = questions.flat();
  const cache = model.newCache(choices.length, capacity);
  try {
    readContexts(model, questions, cache);
    const rows = choices.map(({ context, continuation }) => ({
      ids: Int32Array.of(context.at(-1) ?? 0, ...continuation.subarray(0, -1)),
      targets: continuation,
    }));
    const found = await lastTokens(model, rows, cache);
    let next = 0;
    return questions.map((own) => own.map(() => found[next++] as Likelihood));
  } finally {
    cache.release();
  }
}

/** All of each context but its last token, then a copy for each choice. */
function readContexts(
  model: LanguageModel,
  questions: readonly (readonly TokenRequest[])[],
  cache: KeyValueCache,
): void {
  const contexts = questions.map(([first]) => first?.context.subarray(0, -1) ?? new Int32Array(0));
  const block = paddedBatch(contexts);
  if (block.lengths.some((length) => length > 0)) {
    withoutGradients(() =>
      tensorScope(() => {
        cache.extend(block.lengths, block.time, model.readsPrefix);
        model.forward(Tensor.from(model.backend, block.ids, [block.batch, block.time]), { cache });
      }),
    );
  }
  cache.reorder(Int32Array.from(questions.flatMap((own, question) => own.map(() => question))));
}

interface Row {
  readonly ids: Int32Array;
  /** The token that follows each of the last ids. */
  readonly targets: Int32Array;
}

/** Likelihood of the targets of each row, after what the cache holds, if anything. */
async function lastTokens(
  model: LanguageModel,
  rows: readonly Row[],
  cache: KeyValueCache | null,
): Promise<Likelihood[]> {
  const block = paddedBatch(rows.map(({ ids }) => ids));
  const places = rows.flatMap(({ ids, targets }, b) =>
    Array.from(targets, (_, t) => b * block.time + ids.length - targets.length + t),
  );
  const targets = Int32Array.from(rows.flatMap((row) => [...row.targets]));
  const { logProbs, best } = withoutGradients(() =>
    tensorScope(() => {
      cache?.extend(block.lengths, block.time);
      const ids = Tensor.from(model.backend, block.ids, [block.batch, block.time]);
      const hidden = model.forward(ids, cache ? { cache } : visibility(model, rows)).reshape([block.ids.length, -1]);
      return readLogits(model, hidden, Int32Array.from(places), targets);
    }),
  );
  const values = await readAll(logProbs);
  const likeliest = await readAll(best);
  let next = 0;
  return rows.map(({ targets: own }) => {
    const start = next;
    next += own.length;
    const logProb = values.slice(start, next).reduce((a, b) => a + b, 0);
    if (Number.isNaN(logProb)) {
      throw new NumericalError("eval: the model gives NaN instead of probabilities; its weights are damaged");
    }
    return { logProb, isGreedy: own.every((target, i) => target === likeliest[start + i]) };
  });
}

/** A prefix model sees all of a context but its last token at once, as {@link readContexts} gives it. */
function visibility(model: LanguageModel, rows: readonly Row[]): ForwardOptions {
  if (!model.readsPrefix) return {};
  const prefixLengths = Int32Array.from(rows, ({ ids, targets }) => ids.length - targets.length);
  return { mask: { causal: true, prefixLengths } };
}

/** log p of each target, and the likeliest token at each place, a few places at a time. */
function readLogits(
  model: LanguageModel,
  hidden: Tensor,
  places: Int32Array,
  targets: Int32Array,
): { logProbs: Tensor[]; best: Tensor[] } {
  const step = Math.max(1, Math.floor(chunkElements / model.settings.vocabularySize));
  const upload = (values: Int32Array): Tensor => Tensor.from(model.backend, values, [values.length]);
  const [logProbs, best]: [Tensor[], Tensor[]] = [[], []];
  for (let start = 0; start < places.length; start += step) {
    const some = hidden.gatherRows(upload(places.subarray(start, start + step)));
    const part = tensorScope(() => {
      const logits = model.logits(some);
      return [logits.logSoftmax().pick(upload(targets.subarray(start, start + step))), logits.argmax()];
    });
    if (part[0] && part[1]) {
      logProbs.push(part[0]);
      best.push(part[1]);
    }
  }
  return { logProbs, best };
}

async function readAll(parts: readonly Tensor[]): Promise<number[]> {
  const values: number[] = [];
  for (const part of parts) {
    for (const value of await part.read()) values.push(value);
    part.release();
  }
  return values;
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
