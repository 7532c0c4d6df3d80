import type { Attention } from "./fused-kernels.ts";
import type { Backend } from "./kernels.ts";
import type { Storage, View } from "./storage.ts";

/** What share of its values each query took from each key, in one call of attention. */
export interface AttentionMap {
  readonly batch: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  /** `[batch, heads, queries, keys]`; a row adds up to 1, or to 0 where a query sees nothing. */
  readonly weights: Float32Array;
}

/** A backend that looks on while models compute on it, until it is told to stop. */
export interface WatchedBackend {
  readonly backend: Backend;
  /** From now on no maps are made: what is on the backend is computed as fast as without. Maps made before stay to be taken. */
  stop(): void;
  /**
   * Goes on with maps after {@link stop}.
   *
   * @param calls - Which calls of attention are looked at, counted from 0 from now on; all when left out.
   */
  start(calls?: ReadonlySet<number> | null): void;
  /** A map for each call of attention since maps were last taken, in order. */
  takeMaps(): Promise<AttentionMap[]>;
}

/**
 * The same backend, which also finds out the weights of attention: models loaded on it are computed as ever, whatever their
 * masks and biases. The weights are what the kernel itself makes of values of which one key has a 1 and all others 0.
 */
export function watchAttention(backend: Backend): WatchedBackend {
  let taken: Promise<AttentionMap>[] = [];
  let isWatching = true;
  let wanted: ReadonlySet<number> | null = null;
  let call = 0;
  const { passes, ...rest } = backend;
  const attention = (own: Attention): void => {
    backend.all.attention(own);
    if (isWatching && (wanted?.has(call++) ?? true)) taken.push(mapOf(backend, own));
  };
  const watched: Backend = {
    ...rest,
    fused: { ...backend.fused, attention },
    all: { ...backend.all, attention },
  };
  // A pass made again would not be looked at.
  if (passes) Object.defineProperty(watched, "passes", { get: () => (isWatching ? undefined : passes) });
  return {
    backend: watched,
    stop() {
      isWatching = false;
    },
    start(calls = null) {
      [isWatching, wanted, call] = [true, calls, 0];
    },
    takeMaps() {
      const maps = Promise.all(taken);
      taken = [];
      return maps;
    },
  };
}

async function mapOf(backend: Backend, own: Attention): Promise<AttentionMap> {
  const { batch, heads, keyValueHeads, queries, keys, headDim } = own;
  const weights = new Float32Array(batch * heads * queries * keys);
  const made: Storage[] = [];
  const allocate = (size: number): View => {
    const storage = backend.allocate("float32", size);
    made.push(storage);
    return { storage, offset: 0, shape: [size] };
  };
  // A head is headDim wide, so a call tells the weights of as many keys; all are launched before anything is awaited.
  const outputs: { readonly first: number; readonly values: Promise<ArrayLike<number>> }[] = [];
  const rowStride = keyValueHeads * headDim;
  for (let first = 0; first < keys; first += headDim) {
    const ones = new Float32Array(keys * rowStride);
    for (let key = first; key < Math.min(first + headDim, keys); key++) {
      for (let head = 0; head < keyValueHeads; head++) ones[key * rowStride + head * headDim + key - first] = 1;
    }
    const [view, out] = [allocate(ones.length), allocate(batch * queries * heads * headDim)];
    backend.write(view.storage, 0, ones);
    const value = { view, offset: 0, rowStride, batchStride: 0 };
    backend.all.attention({ ...own, value, out, logSumExp: null, dropout: null });
    outputs.push({ first, values: backend.read(out.storage, 0, batch * queries * heads * headDim) });
  }
  for (const { first, values } of outputs) {
    const mixed = await values;
    for (let at = 0; at < mixed.length; at++) {
      const key = first + (at % headDim);
      if (key >= keys) continue;
      const head = Math.floor(at / headDim) % heads;
      const row = Math.floor(at / (headDim * heads));
      const [b, query] = [Math.floor(row / queries), row % queries];
      weights[((b * heads + head) * queries + query) * keys + key] = mixed[at] ?? 0;
    }
  }
  for (const storage of made) backend.release(storage);
  return { batch, heads, queries, keys, weights };
}
