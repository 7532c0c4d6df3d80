import type { AttentionMap, WatchedBackend } from "../backend/watch-attention.ts";
import { withoutGradients } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";

/**
 * The weights of attention in a pass of a model that was loaded on a watched backend, which is looked at during this pass
 * alone: one map for each of the calls that are wanted, in order. A decoder or an encoder calls once a layer; an
 * encoder-decoder once for each layer of its encoder, then for each layer of its decoder twice, the second time looking at
 * the text that it answers.
 *
 * @param calls - Counted from 0; null for all.
 * @param pass - Makes the pass.
 */
export async function attentionWeights(
  watched: WatchedBackend,
  calls: ReadonlySet<number> | null,
  pass: () => void,
): Promise<AttentionMap[]> {
  watched.start(calls);
  try {
    withoutGradients(() => tensorScope(pass));
  } finally {
    watched.stop();
  }
  return watched.takeMaps();
}
