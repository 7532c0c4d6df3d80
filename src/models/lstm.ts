import { z } from "zod";
import { SettingsError, UnsupportedError } from "../core/errors.ts";
import type { ForwardOptions } from "../nn/attention.ts";
import { dropOut } from "../nn/dropout.ts";
import type { CacheType } from "../nn/key-value-cache.ts";
import { KeyValueCache } from "../nn/key-value-cache.ts";
import type { LstmState } from "../nn/lstm-layer.ts";
import { LstmLayer } from "../nn/lstm-layer.ts";
import type { Initializer, Parameter } from "../nn/parameters.ts";
import { withoutGradients } from "../tensor/op.ts";
import { Tensor } from "../tensor/tensor.ts";
import { layerCount, rate, size } from "./config-numbers.ts";
import type { ReadOn, RecurrentModel } from "./language-model.ts";

/** Shape of an LSTM language model. */
export const LstmSettings = z.object({
  vocabularySize: size,
  /** Longest sequence that is read in one piece; the model itself has no limit. */
  context: size,
  width: size,
  layers: layerCount,
  /** Of what each layer reads, and of the last hidden states. */
  dropout: rate.default(0),
  /** Standard deviation of the initial weights. */
  initializerRange: z.number().positive().default(0.1),
});
export type LstmSettings = z.infer<typeof LstmSettings>;

/**
 * Layers of long short-term memory between an embedding and an output layer that share one matrix: what language models
 * were before attention. All that it knows of earlier tokens is in one vector and its cells.
 *
 * @see Hochreiter & Schmidhuber (1997), "Long short-term memory"; Zaremba et al. (2014), "Recurrent neural network
 * regularization", arXiv:1409.2329, for where dropout is; Press & Wolf (2017), arXiv:1608.05859, for the tied matrix.
 */
export class Lstm implements RecurrentModel {
  readonly settings: LstmSettings;
  /** `[vocabularySize, width]`; also the output layer. */
  readonly tokenEmbedding: Parameter;
  readonly layers: readonly LstmLayer[];
  /** `[vocabularySize]` */
  readonly outputBias: Parameter;

  constructor(settings: LstmSettings, init: Initializer) {
    const { vocabularySize, width, layers, initializerRange } = settings;
    this.settings = settings;
    this.tokenEmbedding = init.normal([vocabularySize, width], initializerRange);
    this.layers = Array.from({ length: layers }, () => new LstmLayer(width, initializerRange, init));
    this.outputBias = init.constant([vocabularySize], 0);
  }

  get backend(): Tensor["backend"] {
    return this.tokenEmbedding.backend;
  }

  get outputWeight(): Parameter {
    return this.tokenEmbedding;
  }

  /**
   * Token ids int32 `[batch, time]` → hidden states `[batch, time, width]`. A cache holds the state after each token:
   * the hidden state where attention has its key, the cells where it has its value.
   *
   * @throws {UnsupportedError} when several texts are packed into a row, which only attention can keep apart.
   */
  forward(ids: Tensor, options: ForwardOptions = {}): Tensor {
    const { mask, cache } = options;
    if (mask?.firstKeys || mask?.prefixLengths) {
      throw new UnsupportedError(
        "lstm: it reads each row from its beginning to its end, so rows can neither hold several texts nor a prefix that " +
          "is read at once; train without packing, or take a model with attention",
      );
    }
    const counts = cache?.raggedCounts;
    if (cache && counts) return this.#forwardRagged(ids, cache, counts);
    const before = cache ? this.layers.map((_, layer) => stateOf(cache, layer)) : null;
    const { hidden, states } = this.read(ids, before, options);
    states.forEach((state, layer) => {
      cache?.append(layer, swapped(state.hidden), swapped(state.cells));
    });
    cache?.commit();
    return hidden;
  }

  /** Sequences that lie back to back are read side by side, padded to the longest: each step needs the one before. */
  #forwardRagged(ids: Tensor, cache: KeyValueCache, counts: Int32Array): Tensor {
    const time = counts.reduce((most, count) => Math.max(most, count), 0);
    const padded = new Int32Array(counts.length * time).fill(-1);
    const places: number[] = [];
    counts.forEach((count, b) => {
      for (let t = 0; t < count; t++) padded[b * time + t] = places.push(b * time + t) - 1;
    });
    const upload = (rows: Int32Array): Tensor => Tensor.from(this.backend, rows, [rows.length]);
    const { width } = this.settings;
    const embedded = this.tokenEmbedding.gatherRows(ids).reshape([-1, width]).gatherRows(upload(padded));
    const before = this.layers.map((_, layer) => stateOf(cache, layer));
    const grid = embedded.reshape([counts.length, time, width]);
    const { hidden, states } = this.read(ids, before, { embedded: grid });
    const back = upload(Int32Array.from(places));
    const rowsOf = (all: Tensor): Tensor => all.reshape([-1, width]).gatherRows(back).reshape([1, -1, width]);
    states.forEach((state, layer) => {
      cache.append(layer, rowsOf(swapped(state.hidden)), rowsOf(swapped(state.cells)));
    });
    cache.commit();
    return rowsOf(hidden);
  }

  newState(batch: number): readonly LstmState[] {
    const zeros = (): Tensor => this.tokenEmbedding.filled([batch, this.settings.width], 0);
    return this.layers.map(() => ({ hidden: zeros(), cells: zeros() }));
  }

  readOn(ids: Tensor, before: readonly LstmState[], options: ForwardOptions = {}): ReadOn {
    const { hidden, states } = this.read(ids, before, options);
    const time = ids.axis(1);
    const last = (all: Tensor): Tensor => all.slice(0, time - 1, time).reshape([-1, this.settings.width]);
    return withoutGradients(() => ({
      hidden,
      state: states.map((all) => ({ hidden: last(all.hidden), cells: last(all.cells) })),
    }));
  }

  /**
   * Token ids int32 `[batch, time]`, read on from the state of each layer (from zeros without) → hidden states
   * `[batch, time, width]`, and what each layer's state was after each token, `[time, batch, width]`.
   */
  read(
    ids: Tensor,
    before: readonly LstmState[] | null,
    { random = null, embedded, afterBlock }: ForwardOptions = {},
  ): { hidden: Tensor; states: readonly LstmState[] } {
    const { dropout } = this.settings;
    let x = swapped(embedded ?? this.tokenEmbedding.gatherRows(ids)); // [time, batch, width]
    const states = this.layers.map((layer, i) => {
      const all = layer.forward(dropOut(x, dropout, random), before?.[i] ?? null);
      x = all.hidden;
      afterBlock?.(swapped(x));
      return all;
    });
    return { hidden: swapped(dropOut(x, dropout, random)), states };
  }

  finish(states: Tensor): Tensor {
    return states;
  }

  /** Hidden states `[…, width]` → logits `[…, vocabularySize]`. */
  logits(hidden: Tensor): Tensor {
    return hidden.matmul(this.tokenEmbedding, { transposeB: true }).add(this.outputBias);
  }

  newCache(slots: number, capacity: number, type?: CacheType): KeyValueCache {
    if (type === "bfloat16") {
      throw new SettingsError(
        "lstm: its state decides all that follows and is kept as float32; leave out the cache type",
      );
    }
    const { layers, width } = this.settings;
    return new KeyValueCache(this.backend, { layers, slots, capacity, width });
  }
}

function stateOf(cache: KeyValueCache, layer: number): LstmState {
  const { key, value } = cache.latest(layer);
  return { hidden: key, cells: value };
}

/** Batch and time change places. */
function swapped(x: Tensor): Tensor {
  return x.permute([1, 0, 2]);
}
