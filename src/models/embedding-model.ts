import type { Backend } from "../backend/kernels.ts";
import type { TensorSource, WritableTensor } from "../checkpoint/tensor-source.ts";
import type { Random } from "../core/random.ts";
import type { PaddedBatch } from "../data/padded-batch.ts";
import { freeze, parameters } from "../nn/parameters.ts";
import { concat } from "../tensor/ops/movement.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Bert } from "./bert.ts";
import type { EncoderFamily } from "./encoder-family.ts";
import type { ModelConfig, ModelFamily, SpecialIds, TensorBinding } from "./family.ts";
import type { LanguageModel } from "./language-model.ts";
import { mergedTensors } from "./low-rank-adapters.ts";
import type { PooledTexts } from "./pool-states.ts";
import { poolStates } from "./pool-states.ts";
import { loadTensors, modelPlacements } from "./read-model.ts";
import type { SentenceModules } from "./sentence-modules.ts";
import { unitVectors } from "./unit-vectors.ts";

/** Texts as an embedding model reads them. */
export interface EmbeddingBatch extends PaddedBatch, PooledTexts {}

/** How a body is read and kept, whichever it is. */
export interface EmbeddingBody {
  readonly model: Bert | LanguageModel;
  /** A batch → states `[batch, time, width]`. */
  read(batch: PaddedBatch, random: Random | null, recompute: boolean): Tensor;
  config(ids: SpecialIds): ModelConfig;
  bindings(): readonly TensorBinding[];
  tensors(): WritableTensor[];
  /** @throws {CheckpointError} when tensors are missing, unexpected or of another shape; the model is then as it was. */
  load(source: TensorSource): Promise<void>;
}

/**
 * A body whose states become one vector for each text: pooled over its tokens and, where its modules say so, of length 1.
 *
 * @see Reimers and Gurevych (2019), "Sentence-BERT: Sentence embeddings using Siamese BERT-networks", section 3,
 * arXiv:1908.10084.
 */
export class EmbeddingModel {
  readonly body: EmbeddingBody;
  readonly modules: SentenceModules;

  constructor(body: EmbeddingBody, modules: SentenceModules) {
    this.body = body;
    this.modules = modules;
  }

  get backend(): Backend {
    return this.body.model.backend;
  }

  /** Numbers of an embedding. */
  get width(): number {
    return this.modules.pooling.length * widthOf(this.body.model);
  }

  /** A batch of texts → embeddings `[batch, width]`. `random` feeds dropout; null is inference. */
  forward(batch: EmbeddingBatch, random: Random | null = null, { recompute = false } = {}): Tensor {
    const states = this.body.read(batch, random, recompute);
    const vectors = this.modules.pooling.map((mode) => poolStates(mode, states, batch));
    const all = vectors.length === 1 ? (vectors[0] as Tensor) : concat(vectors, 1);
    return this.modules.normalizes ? unitVectors(all) : all;
  }
}

/** Width of a body's states. */
export function widthOf({ settings }: Bert | LanguageModel): number {
  return (settings as { readonly width?: number }).width ?? 0;
}

/** An encoder as the body of an embedding model. The layer over its first token, which nothing here reads, is frozen. */
export function encoderBody(family: EncoderFamily, model: Bert, hasPooler: boolean): EmbeddingBody {
  freeze(model.pooler);
  const { body } = family;
  const isKept = ({ name }: { readonly name: string }): boolean => hasPooler || !name.startsWith("pooler.");
  return {
    model,
    read({ ids, batch, time, lengths }, random, recompute) {
      return model.forward(Tensor.from(model.backend, ids, [batch, time]), { lengths, random, recompute });
    },
    config: (ids) => body.writeConfig(model.settings, ids),
    bindings: () => body.tensors(model).filter(isKept),
    tensors: () => mergedTensors(modelPlacements(body, model).filter(isKept), model),
    load(source) {
      const lacking = body.tensors(model).filter((binding) => !isKept(binding));
      const names = lacking.map(({ name }) => name);
      return loadTensors(body, model, source, names);
    },
  };
}

/** A decoder as the body of an embedding model. An output layer of its own, which nothing here reads, is frozen. */
export function decoderBody(family: ModelFamily, model: LanguageModel): EmbeddingBody {
  for (const [name, parameter] of parameters(model)) {
    if (parameter === model.outputWeight && !name.endsWith("tokenEmbedding")) parameter.requiresGrad = false;
  }
  return {
    model,
    read({ ids, batch, time }, random, recompute) {
      // No token sees those behind it: padding changes nothing.
      return model.forward(Tensor.from(model.backend, ids, [batch, time]), { random, recompute });
    },
    config: (ids) => family.writeConfig(model.settings, ids),
    bindings: () => family.tensors(model),
    tensors: () => mergedTensors(modelPlacements(family, model), model),
    load: (source) => loadTensors(family, model, source),
  };
}
