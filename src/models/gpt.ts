import { z } from "zod";
import { ShapeError } from "../core/errors.ts";
import type { ForwardOptions } from "../nn/attention.ts";
import { SelfAttention } from "../nn/attention.ts";
import { throughBlocks } from "../nn/block-stack.ts";
import { dropOut } from "../nn/dropout.ts";
import type { CacheType } from "../nn/key-value-cache.ts";
import { KeyValueCache } from "../nn/key-value-cache.ts";
import type { Linear } from "../nn/linear.ts";
import { Mlp } from "../nn/mlp.ts";
import { LayerNorm } from "../nn/norm.ts";
import type { Initializer, Parameter } from "../nn/parameters.ts";
import { usedOnce } from "../nn/used-once.ts";
import type { AttentionMask } from "../tensor/ops/attention-mask.ts";
import { Tensor } from "../tensor/tensor.ts";
import { ActivationKind } from "./activation-names.ts";
import { checkPositions, renewedPositions } from "./check-positions.ts";
import { layerCount, rate, size } from "./config-numbers.ts";
import type { LanguageModel } from "./language-model.ts";

/** Shape of a GPT. */
export const GptSettings = z.object({
  /** Where each sub-layer's norm stands: after the residual sum (GPT-1) or at its input, with one more at the end (GPT-2). */
  normPosition: z.enum(["before", "after"]),
  vocabularySize: size,
  /** Positions, and so the longest sequence. */
  context: size,
  width: size,
  layers: layerCount,
  heads: size,
  /** Width of the feed-forward layer. */
  hidden: size,
  activation: ActivationKind.default("geluTanh"),
  embeddingDropout: rate.default(0),
  attentionDropout: rate.default(0),
  residualDropout: rate.default(0),
  normEpsilon: z.number().positive().default(1e-5),
  /** Whether the output layer is the token embedding. */
  tiedEmbeddings: z.boolean().default(true),
  /** Standard deviation of the initial weights. */
  initializerRange: z.number().positive().default(0.02),
});
export type GptSettings = z.infer<typeof GptSettings>;

/**
 * Decoder-only Transformer with learned positions; its output layer is the token embedding unless it is told otherwise.
 *
 * @see Radford et al. (2018), "Improving language understanding by generative pre-training", section 4.1 (GPT-1);
 * Radford et al. (2019), "Language models are unsupervised multitask learners", section 2.3 (GPT-2): norms at the
 * input of each sub-layer, one more after the last, and residual projections started smaller by 1/√(2 · layers).
 */
export class Gpt implements LanguageModel {
  readonly settings: GptSettings;
  /** `[vocabularySize, width]` */
  readonly tokenEmbedding: Parameter;
  /** `[context, width]` */
  readonly positionEmbedding: Parameter;
  readonly blocks: readonly Block[];
  /** Only where norms stand before the sub-layers. */
  readonly finalNorm: LayerNorm | null;
  /** `[vocabularySize, width]`; null where the token embedding serves. */
  readonly head: Parameter | null;

  constructor(settings: GptSettings, init: Initializer) {
    const { width, heads, layers } = settings;
    if (width % heads !== 0) throw new ShapeError(`gpt: ${heads} heads do not divide a width of ${width}`);
    this.settings = settings;
    this.tokenEmbedding = init.matrix([settings.vocabularySize, width], settings.initializerRange);
    this.positionEmbedding = init.normal([settings.context, width], settings.initializerRange);
    this.blocks = Array.from({ length: layers }, (_, layer) => new Block(settings, layer, init));
    this.finalNorm = settings.normPosition === "before" ? new LayerNorm(width, settings.normEpsilon, init) : null;
    const { vocabularySize, initializerRange } = settings;
    this.head = settings.tiedEmbeddings ? null : init.matrix([vocabularySize, width], initializerRange);
  }

  get backend(): Tensor["backend"] {
    return this.tokenEmbedding.backend;
  }

  get outputWeight(): Parameter {
    return this.head ?? this.tokenEmbedding;
  }

  /** Token ids int32 `[batch, time]` → hidden states `[batch, time, width]`. */
  forward(ids: Tensor, options: ForwardOptions = {}): Tensor {
    const [batch, time] = [ids.axis(0), ids.axis(1)];
    const random = options.random ?? null;
    const mask = options.cache?.mask() ?? options.mask ?? { causal: true };
    const place = (embedded: Tensor): Tensor => embedded.add(this.#positions(batch, time, options));
    let x = options.embedded ? place(options.embedded) : usedOnce(this.tokenEmbedding.gatherRows(ids), place);
    x = dropOut(x, this.settings.embeddingDropout, random);
    x = throughBlocks(this.blocks, x, options, (block, input, own) => block.forward(input, mask, own));
    options.cache?.commit();
    return this.finish(x);
  }

  finish(states: Tensor): Tensor {
    return this.finalNorm?.forward(states) ?? states;
  }

  /** Hidden states `[…, width]` → logits `[…, vocabularySize]`. */
  logits(hidden: Tensor): Tensor {
    return hidden.matmul(this.outputWeight, { transposeB: true });
  }

  newCache(slots: number, capacity: number, type?: CacheType): KeyValueCache {
    const { width } = this.settings;
    return new KeyValueCache(this.backend, { layers: this.blocks.length, slots, capacity, width, type });
  }

  #positions(batch: number, time: number, options: ForwardOptions): Tensor {
    const positions = options.positions ?? options.cache?.positions(time) ?? null;
    checkPositions("gpt", this.settings.context, time, positions);
    if (!positions) return this.positionEmbedding.slice(0, 0, time); // [time, width]
    const renew = renewedPositions("gpt", this.settings.context, time, options);
    return this.positionEmbedding.gatherRows(Tensor.given(this.backend, positions, [batch, time], renew)); // [batch, time, width]
  }
}

/** What a block needs to know of its model. */
export type BlockSettings = Omit<GptSettings, "vocabularySize" | "context" | "embeddingDropout" | "tiedEmbeddings">;

/** One Transformer block: attention and a feed-forward layer, each with its residual sum and its norm. */
export class Block {
  readonly attentionNorm: LayerNorm;
  readonly attention: SelfAttention;
  readonly mlpNorm: LayerNorm;
  readonly mlp: Mlp;
  readonly #settings: BlockSettings;
  readonly #layer: number;

  constructor(settings: BlockSettings, layer: number, init: Initializer) {
    const { width, heads, normEpsilon, initializerRange, layers, normPosition } = settings;
    const inner = { bias: true, standardDeviation: initializerRange };
    const shrink = normPosition === "before" ? 1 / Math.sqrt(2 * layers) : 1;
    const projection = { bias: true, standardDeviation: initializerRange * shrink };
    this.#settings = settings;
    this.#layer = layer;
    this.attentionNorm = new LayerNorm(width, normEpsilon, init);
    this.attention = new SelfAttention(
      { width, heads, qkv: inner, projection, dropout: settings.attentionDropout },
      init,
    );
    this.mlpNorm = new LayerNorm(width, normEpsilon, init);
    this.mlp = new Mlp(settings, inner, projection, init);
  }

  /** x `[batch, time, width]` → same shape. */
  forward(x: Tensor, mask: AttentionMask, options: ForwardOptions): Tensor {
    const attend = (input: Tensor): Tensor => this.attention.mix(input, mask, this.#layer, options);
    const expand = (input: Tensor): Tensor => this.mlp.expand(input, options);
    if (this.#settings.normPosition === "before") {
      const attended = this.#add(
        x,
        usedOnce(this.attentionNorm.forward(x), attend),
        this.attention.projection,
        options,
      );
      return this.#add(attended, usedOnce(this.mlpNorm.forward(attended), expand), this.mlp.projection, options);
    }
    const attended = this.attentionNorm.forward(this.#add(x, attend(x), this.attention.projection, options));
    return this.mlpNorm.forward(this.#add(attended, expand(attended), this.mlp.projection, options));
  }

  /** x + dropout(projection(branch)), in one pass when nothing is dropped; nothing else may read the branch. */
  #add(x: Tensor, branch: Tensor, projection: Linear, { random = null }: ForwardOptions): Tensor {
    const rate = this.#settings.residualDropout;
    return usedOnce(branch, (inner) => {
      if (rate === 0 || !random) return projection.forward(inner, { residual: x, random });
      return x.add(dropOut(projection.forward(inner, { random }), rate, random));
    });
  }
}
