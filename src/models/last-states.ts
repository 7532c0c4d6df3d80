import type { Random } from "../core/random.ts";
import type { PaddedBatch } from "../data/padded-batch.ts";
import { rowsOf } from "../data/padded-batch.ts";
import { apply, withoutGradients } from "../tensor/op.ts";
import { scatterRows } from "../tensor/ops/indexing.ts";
import { tensorScope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { LanguageModel } from "./language-model.ts";

/** Tokens that are read at once: what a block computes on the way takes memory for so many. */
const tokensAtOnce = 512;

/**
 * State of the last token of each input of a model that is frozen but for that token's embedding.
 *
 * No other token sees the last one. So the others are read without a gradient, for their keys and values alone, and what
 * the embedding does to the state is followed through one position of each input: the gradient is exact.
 *
 * Shapes: embedding `[1, width]` → `[batch, width]`.
 */
export function lastStates(model: LanguageModel, embedding: Tensor, batch: PaddedBatch, random: Random | null): Tensor {
  const atOnce = Math.max(1, Math.floor(tokensAtOnce / batch.time));
  const firsts = Array.from({ length: Math.ceil(batch.batch / atOnce) }, (_, i) => i * atOnce);
  return firsts
    .map((first) => {
      const some = readLast(model, embedding, rowsOf(batch, first, first + atOnce), random);
      const places = Int32Array.from({ length: some.axis(0) }, (_, i) => first + i);
      const ids = Tensor.from(model.backend, places, [places.length]);
      return apply(scatterRows, [some, ids], { rows: batch.batch });
    })
    .reduce((sum, part) => sum.add(part));
}

function readLast(
  model: LanguageModel,
  embedding: Tensor,
  { ids, batch, time, lengths }: PaddedBatch,
  random: Random | null,
): Tensor {
  const { backend } = model;
  const cache = model.newCache(batch, time).unkeep();
  const others = lengths.map((length) => length - 1);
  withoutGradients(() =>
    tensorScope(() => {
      cache.extend(others, time - 1);
      const before = ids.filter((_, i) => i % time < time - 1);
      model.forward(Tensor.from(backend, before, [batch, time - 1]), { cache, random });
    }),
  );
  cache.extend(new Int32Array(batch).fill(1), 1);
  const rows = Tensor.from(backend, new Int32Array(batch), [batch, 1]);
  return model.forward(rows, { cache, random, embedded: embedding.gatherRows(rows) }).reshape([batch, -1]);
}
