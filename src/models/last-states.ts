import type { Random } from "../core/random.ts";
import type { PaddedBatch } from "../data/padded-batch.ts";
import { withoutGradients } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { LanguageModel } from "./language-model.ts";

/**
 * State of the last token of each input of a model that is frozen but for that token's embedding.
 *
 * No other token sees the last one. So the others are read without a gradient, for their keys and values alone, and what
 * the embedding does to the state is followed through one position of each input: the gradient is exact.
 *
 * Shapes: embedding `[1, width]` → `[batch, width]`.
 */
export function lastStates(
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
