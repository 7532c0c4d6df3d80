import type { Backend } from "../backend/kernels.ts";
import type { ForwardOptions } from "../nn/attention.ts";
import type { CacheType, KeyValueCache } from "../nn/key-value-cache.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { LanguageModel } from "./language-model.ts";
import { linearsOf } from "./low-rank-adapters.ts";

/**
 * The model that an adapted one was made from, in the same memory: its adapters are off while this one computes. What it
 * computes is for reading: gradients of it would be those of the adapted model.
 */
export class AdapterOff implements LanguageModel {
  readonly #adapted: LanguageModel;

  constructor(adapted: LanguageModel) {
    this.#adapted = adapted;
  }

  get settings(): LanguageModel["settings"] {
    return this.#adapted.settings;
  }

  get backend(): Backend {
    return this.#adapted.backend;
  }

  get tokenEmbedding(): Tensor {
    return this.#adapted.tokenEmbedding;
  }

  get outputWeight(): Tensor {
    return this.#adapted.outputWeight;
  }

  get outputBias(): Tensor | null {
    return this.#adapted.outputBias ?? null;
  }

  get logitCap(): number | null {
    return this.#adapted.logitCap ?? null;
  }

  forward(ids: Tensor, options: ForwardOptions = {}): Tensor {
    const layers = [...linearsOf(this.#adapted).values()];
    const adapters = layers.map(({ adapter }) => adapter);
    for (const layer of layers) layer.adapter = null;
    try {
      return this.#adapted.forward(ids, options);
    } finally {
      layers.forEach((layer, i) => {
        layer.adapter = adapters[i] ?? null;
      });
    }
  }

  finish(states: Tensor): Tensor {
    return this.#adapted.finish(states);
  }

  logits(hidden: Tensor): Tensor {
    return this.#adapted.logits(hidden);
  }

  newCache(slots: number, capacity: number, type?: CacheType): KeyValueCache {
    return this.#adapted.newCache(slots, capacity, type);
  }
}
