import { Convolution } from "../../nn/convolution.ts";
import { CrossAttention } from "../../nn/cross-attention.ts";
import { GroupNorm } from "../../nn/group-norm.ts";
import { Linear } from "../../nn/linear.ts";
import { LayerNorm } from "../../nn/norm.ts";
import type { Initializer } from "../../nn/parameters.ts";
import { usedOnce } from "../../nn/used-once.ts";
import { apply } from "../../tensor/op.ts";
import type { AttentionMask } from "../../tensor/ops/attention-mask.ts";
import { gatedUnit } from "../../tensor/ops/gated-unit.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { TextCondition } from "./denoiser.ts";

/** Sizes of a {@link PictureTransformer}. */
export interface PictureTransformerOptions {
  readonly channels: number;
  readonly heads: number;
  readonly textWidth: number;
  readonly layers: number;
  /** Of the group norm at its entry. */
  readonly groups: number;
}

/** A block of a transformer over the pixels of a picture, which look at each other and at a text. */
export class TextAttentionBlock {
  readonly norm1: LayerNorm;
  readonly selfAttention: CrossAttention;
  readonly norm2: LayerNorm;
  readonly crossAttention: CrossAttention;
  readonly norm3: LayerNorm;
  /** Gate and value, `[8 · channels, channels]`. */
  readonly up: Linear;
  readonly down: Linear;

  constructor({ channels, heads, textWidth }: PictureTransformerOptions, init: Initializer) {
    const start = (inputs: number): number => 1 / Math.sqrt(3 * inputs);
    const norm = (): LayerNorm => new LayerNorm(channels, 1e-5, init);
    const headDim = channels / heads;
    const attention = (width: number): CrossAttention =>
      new CrossAttention(
        {
          ...{ width: channels, textWidth: width, heads, headDim, scale: 1 / Math.sqrt(headDim), dropout: 0 },
          qkv: { bias: false, standardDeviation: start(channels) },
          projection: { bias: true, standardDeviation: start(channels) },
        },
        init,
      );
    this.norm1 = norm();
    this.selfAttention = attention(channels);
    this.norm2 = norm();
    this.crossAttention = attention(textWidth);
    this.norm3 = norm();
    this.up = new Linear(channels, 8 * channels, { bias: true, standardDeviation: start(channels) }, init);
    this.down = new Linear(4 * channels, channels, { bias: true, standardDeviation: start(4 * channels) }, init);
  }

  /** x `[batch, pixels, channels]` → same shape. */
  forward(x: Tensor, text: TextCondition): Tensor {
    const among = usedOnce(this.norm1.forward(x), (normal) =>
      this.selfAttention.mix(normal, this.selfAttention.remember(normal), { causal: false }, null),
    );
    const own = this.selfAttention.projection.forward(among, { residual: x });
    const mask: AttentionMask = { causal: false, keyLengths: text.lengths ?? undefined };
    const told = usedOnce(this.norm2.forward(own), (normal) =>
      this.crossAttention.mix(normal, this.crossAttention.remember(text.states), mask, null),
    );
    const both = this.crossAttention.projection.forward(told, { residual: own });
    const gated = usedOnce(this.norm3.forward(both), (normal) =>
      usedOnce(this.up.forward(normal), (wide) => apply(gatedUnit, [wide], { activation: "gelu" })),
    );
    return usedOnce(gated, (hidden) => this.down.forward(hidden, { residual: both }));
  }
}

/** A transformer over the pixels of a picture, around which the picture goes by. Its last layer starts at 0. */
export class PictureTransformer {
  readonly norm: GroupNorm;
  readonly projectIn: Convolution;
  readonly blocks: readonly TextAttentionBlock[];
  readonly projectOut: Convolution;

  constructor(options: PictureTransformerOptions, init: Initializer) {
    const { channels, groups, layers } = options;
    const sizes = { inputs: channels, outputs: channels, taps: 1 };
    this.norm = new GroupNorm(channels, { groups, epsilon: 1e-6 }, init);
    this.projectIn = new Convolution(sizes, init);
    this.blocks = Array.from({ length: layers }, () => new TextAttentionBlock(options, init));
    this.projectOut = new Convolution({ ...sizes, startsAtZero: true }, init);
  }

  /** x `[batch, height, width, channels]` → same shape. */
  forward(x: Tensor, text: TextCondition): Tensor {
    const entered = usedOnce(this.norm.forward(x), (normal) => this.projectIn.forward(normal));
    const pixels = entered.reshape([x.axis(0), x.axis(1) * x.axis(2), x.axis(3)]);
    const out = this.blocks.reduce((states, block) => block.forward(states, text), pixels);
    return this.projectOut.forward(out.reshape(x.shape)).add(x);
  }
}
