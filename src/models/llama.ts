import { z } from "zod";
import type { ForwardOptions } from "../nn/attention.ts";
import { throughBlocks } from "../nn/block-stack.ts";
import { GatedMlp } from "../nn/gated-mlp.ts";
import { KeyValueCache } from "../nn/key-value-cache.ts";
import type { Initializer, Parameter } from "../nn/parameters.ts";
import { RmsNorm } from "../nn/rms-norm.ts";
import { RotaryAttention } from "../nn/rotary-attention.ts";
import { RotaryTable } from "../nn/rotary-table.ts";
import { usedOnce } from "../nn/used-once.ts";
import type { AttentionMask } from "../tensor/ops/attention-mask.ts";
import type { RotaryAngles } from "../tensor/ops/rotary.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { checkPositions } from "./check-positions.ts";
import type { LanguageModel } from "./language-model.ts";

const size = z.int().positive();

/** Shape of a Llama. */
export const LlamaSettings = z.object({
  vocabularySize: size,
  /** Longest sequence. */
  context: size,
  width: size,
  layers: size,
  heads: size,
  /** Heads of keys and values; a divisor of `heads`. */
  keyValueHeads: size,
  /** Width of one head. */
  headDim: size,
  /** Width of the feed-forward layer. */
  hidden: size,
  activation: z.enum(["gelu", "geluTanh", "relu", "silu", "tanh"]).default("silu"),
  attentionDropout: z.number().min(0).lt(1).default(0),
  normEpsilon: z.number().positive().default(1e-5),
  /** Pair i of each head turns by base^(−2i / headDim) radians a position; `rope_theta` of config.json. */
  rotaryBase: z.number().positive().default(10_000),
  rotaryScaling: z
    .discriminatedUnion("kind", [
      z.object({ kind: z.literal("linear"), factor: z.number().positive() }),
      z.object({
        kind: z.literal("llama3"),
        factor: z.number().positive(),
        lowFrequencyFactor: z.number().positive(),
        highFrequencyFactor: z.number().positive(),
        originalContext: size,
      }),
    ])
    .nullable()
    .default(null),
  /** Whether the output layer is the token embedding. */
  tiedEmbeddings: z.boolean().default(false),
  /** Standard deviation of the initial weights. */
  initializerRange: z.number().positive().default(0.02),
});
export type LlamaSettings = z.infer<typeof LlamaSettings>;

/**
 * Decoder-only Transformer with rotary positions, root-mean-square norms, gated feed-forward layers and grouped
 * queries, all without biases.
 *
 * @see Touvron et al. (2023), "LLaMA: Open and efficient foundation language models", section 2.2, arXiv:2302.13971.
 */
export class Llama implements LanguageModel {
  readonly settings: LlamaSettings;
  /** `[vocabularySize, width]` */
  readonly tokenEmbedding: Parameter;
  readonly blocks: readonly LlamaBlock[];
  readonly finalNorm: RmsNorm;
  /** `[vocabularySize, width]`; null where the token embedding serves. */
  readonly head: Parameter | null;
  readonly #rotary: RotaryTable;

  constructor(settings: LlamaSettings, init: Initializer) {
    const { vocabularySize, width, layers, initializerRange } = settings;
    this.settings = settings;
    this.tokenEmbedding = init.normal([vocabularySize, width], initializerRange);
    this.blocks = Array.from({ length: layers }, (_, layer) => new LlamaBlock(settings, layer, init));
    this.finalNorm = new RmsNorm(width, settings.normEpsilon, init);
    this.head = settings.tiedEmbeddings ? null : init.normal([vocabularySize, width], initializerRange);
    this.#rotary = new RotaryTable(this.backend, settings.headDim, settings.rotaryBase, settings.rotaryScaling);
  }

  get backend(): Tensor["backend"] {
    return this.tokenEmbedding.backend;
  }

  get outputWeight(): Parameter {
    return this.head ?? this.tokenEmbedding;
  }

  /** Token ids int32 `[batch, time]` → hidden states `[batch, time, width]`. */
  forward(ids: Tensor, options: ForwardOptions = {}): Tensor {
    const time = ids.axis(1);
    const mask = options.cache?.mask() ?? options.mask ?? { causal: true };
    const positions = options.positions ?? options.cache?.positions(time) ?? null;
    checkPositions("llama", this.settings.context, time, positions);
    const angles = this.#rotary.angles(time, positions);
    const embedded = options.embedded ?? this.tokenEmbedding.gatherRows(ids); // [batch, time, width]
    const x = throughBlocks(this.blocks, embedded, options, (block, input, own) =>
      block.forward(input, mask, angles, own),
    );
    options.cache?.commit();
    return this.finalNorm.forward(x);
  }

  /** Hidden states `[…, width]` → logits `[…, vocabularySize]`. */
  logits(hidden: Tensor): Tensor {
    return hidden.matmul(this.outputWeight, { transposeB: true });
  }

  newCache(slots: number, capacity: number): KeyValueCache {
    const { layers, keyValueHeads, headDim } = this.settings;
    return new KeyValueCache(this.backend, { layers, slots, capacity, width: keyValueHeads * headDim });
  }
}

/** One Transformer block: attention and a gated feed-forward layer, each normalised at its input. */
export class LlamaBlock {
  readonly attentionNorm: RmsNorm;
  readonly attention: RotaryAttention;
  readonly mlpNorm: RmsNorm;
  readonly mlp: GatedMlp;
  readonly #layer: number;

  constructor(settings: LlamaSettings, layer: number, init: Initializer) {
    const { width, hidden, activation, normEpsilon, initializerRange: range } = settings;
    this.#layer = layer;
    this.attentionNorm = new RmsNorm(width, normEpsilon, init);
    this.attention = new RotaryAttention(
      { ...settings, dropout: settings.attentionDropout, standardDeviation: range },
      init,
    );
    this.mlpNorm = new RmsNorm(width, normEpsilon, init);
    this.mlp = new GatedMlp({ width, hidden, activation, standardDeviations: [range, range] }, init);
  }

  /** x `[batch, time, width]` → same shape. */
  forward(x: Tensor, mask: AttentionMask, angles: RotaryAngles, options: ForwardOptions): Tensor {
    const mixed = usedOnce(this.attentionNorm.forward(x), (input) =>
      this.attention.mix(input, mask, angles, this.#layer, options),
    );
    const attended = usedOnce(mixed, (inner) => this.attention.projection.forward(inner, { residual: x }));
    const expanded = usedOnce(this.mlpNorm.forward(attended), (input) => this.mlp.expand(input));
    return usedOnce(expanded, (inner) => this.mlp.projection.forward(inner, { residual: attended }));
  }
}
