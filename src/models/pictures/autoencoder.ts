import { ShapeError } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import { formatShape } from "../../core/shape.ts";
import { Convolution } from "../../nn/convolution.ts";
import { CrossAttention } from "../../nn/cross-attention.ts";
import { GroupNorm } from "../../nn/group-norm.ts";
import type { Initializer } from "../../nn/parameters.ts";
import { usedOnce } from "../../nn/used-once.ts";
import { upsampleNearest } from "../../tensor/ops/movement.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { ResidualBlock } from "./residual-block.ts";

/** Everything that an {@link Autoencoder} is made by. */
export interface AutoencoderSettings {
  /** Of pictures: 3 for colours. */
  readonly channels: number;
  readonly latentChannels: number;
  /** Channels from the largest pictures to the smallest, each half as large as the one before. */
  readonly levels: readonly number[];
  /** Residual blocks of a level of the encoder; the decoder has one more. */
  readonly layers: number;
  /** Of group norms; divides the channels of every level. */
  readonly groups: number;
  /** Height and width that it was made for; others work, too. */
  readonly pictureSize: number | null;
  /** Latents are multiplied by it, once `shift` is taken off, for a diffusion to find them with a variance of about 1. */
  readonly scale: number;
  readonly shift: number;
  /** Whether a convolution of one pixel mixes the encoder's results, and another the decoder's inputs. */
  readonly mixesMoments: boolean;
  readonly mixesLatents: boolean;
}

/** A normal distribution of the latents of each picture, both `[batch, height, width, latentChannels]`. */
export interface LatentMoments {
  readonly mean: Tensor;
  /** log σ², kept within −30 and 20. */
  readonly logVariance: Tensor;
}

const epsilon = 1e-6;

/** Attention with one head among all pixels, behind a group norm; the picture goes by. */
class PixelAttention {
  readonly norm: GroupNorm;
  readonly attention: CrossAttention;

  constructor(channels: number, groups: number, init: Initializer) {
    const linear = { bias: true, standardDeviation: 1 / Math.sqrt(3 * channels) };
    const sizes = { width: channels, heads: 1, headDim: channels, scale: 1 / Math.sqrt(channels), dropout: 0 };
    this.norm = new GroupNorm(channels, { groups, epsilon }, init);
    this.attention = new CrossAttention({ ...sizes, qkv: linear, projection: linear }, init);
  }

  forward(x: Tensor): Tensor {
    const shape = [x.axis(0), x.axis(1) * x.axis(2), x.axis(3)];
    const mixed = usedOnce(this.norm.forward(x).reshape(shape), (normal) =>
      this.attention.mix(normal, this.attention.remember(normal), { causal: false }, null),
    );
    return this.attention.projection.forward(mixed, { residual: x.reshape(shape) }).reshape(x.shape);
  }
}

/** Residual blocks of one size of picture. */
class Level {
  readonly resnets: readonly ResidualBlock[];
  readonly downsampler: Convolution | null;
  readonly upsampler: Convolution | null;

  constructor(
    [inputs, outputs]: readonly [number, number],
    { layers, resize }: { readonly layers: number; readonly resize: "half" | "double" | null },
    groups: number,
    init: Initializer,
  ) {
    this.resnets = Array.from({ length: layers }, (_, i) => block(i === 0 ? inputs : outputs, outputs, groups, init));
    const sizes = { inputs: outputs, outputs, taps: 3 };
    // Right and bottom only, unlike a U-Net's.
    const padding = { top: 0, left: 0, bottom: 1, right: 1 };
    this.downsampler = resize === "half" ? new Convolution({ ...sizes, stride: 2, padding }, init) : null;
    this.upsampler = resize === "double" ? new Convolution(sizes, init) : null;
  }

  forward(x: Tensor): Tensor {
    const states = through(this.resnets, x);
    const { upsampler } = this;
    if (upsampler) return usedOnce(upsampleNearest(states), (large) => upsampler.forward(large));
    return this.downsampler?.forward(states) ?? states;
  }
}

/** Two residual blocks with attention between. */
class Middle {
  readonly attentions: readonly PixelAttention[];
  readonly resnets: readonly ResidualBlock[];

  constructor(channels: number, groups: number, init: Initializer) {
    this.attentions = [new PixelAttention(channels, groups, init)];
    this.resnets = [0, 1].map(() => block(channels, channels, groups, init));
  }

  forward(x: Tensor): Tensor {
    const states = this.attentions.reduce(
      (all, attention) => attention.forward(all),
      through(this.resnets.slice(0, 1), x),
    );
    return through(this.resnets.slice(1), states);
  }
}

function block(inputs: number, outputs: number, groups: number, init: Initializer): ResidualBlock {
  return new ResidualBlock({ inputs, outputs, timeWidth: null, groups, epsilon, dropout: 0 }, init);
}

function through(blocks: readonly ResidualBlock[], x: Tensor): Tensor {
  return blocks.reduce((states, own) => own.forward(states, null, null), x);
}

/** Convolutions over ever smaller, or ever larger, pictures. */
class Side {
  readonly convIn: Convolution;
  readonly downBlocks: readonly Level[] = [];
  readonly middle: Middle;
  readonly upBlocks: readonly Level[] = [];
  readonly normOut: GroupNorm;
  readonly convOut: Convolution;

  constructor(isEncoder: boolean, settings: AutoencoderSettings, init: Initializer) {
    const { channels, latentChannels, levels, layers, groups } = settings;
    const order = isEncoder ? levels : levels.toReversed();
    const [first = 0, last = 0] = [order[0], order.at(-1)];
    this.convIn = new Convolution({ inputs: isEncoder ? channels : latentChannels, outputs: first, taps: 3 }, init);
    const all = order.map((width, i) => {
      const resize = i === order.length - 1 ? null : isEncoder ? "half" : "double";
      return new Level([order[i - 1] ?? first, width], { layers: layers + (isEncoder ? 0 : 1), resize }, groups, init);
    });
    if (isEncoder) this.downBlocks = all;
    else this.upBlocks = all;
    this.middle = new Middle(isEncoder ? last : first, groups, init);
    this.normOut = new GroupNorm(last, { groups, epsilon }, init);
    this.convOut = new Convolution({ inputs: last, outputs: isEncoder ? 2 * latentChannels : channels, taps: 3 }, init);
  }

  forward(x: Tensor): Tensor {
    const small = this.downBlocks.reduce((states, level) => level.forward(states), this.convIn.forward(x));
    const large = this.upBlocks.reduce((states, level) => level.forward(states), this.middle.forward(small));
    return usedOnce(this.normOut.forward(large, "silu"), (normal) => this.convOut.forward(normal));
  }
}

/**
 * Autoencoder whose latents are a small picture, kept near a standard normal distribution.
 *
 * @see Kingma & Welling (2014), arXiv:1312.6114; Rombach et al. (2022), section 3.1, arXiv:2112.10752. Layers and names are
 * those of `AutoencoderKL`.
 */
export class Autoencoder {
  readonly settings: AutoencoderSettings;
  readonly encoder: Side;
  readonly decoder: Side;
  readonly momentsMixer: Convolution | null;
  readonly latentsMixer: Convolution | null;

  /** @throws {ShapeError} when the groups do not divide the channels of a level. */
  constructor(settings: AutoencoderSettings, init: Initializer) {
    const { levels, groups, latentChannels: latents } = settings;
    const wrong = levels.find((width) => width % groups !== 0);
    if (levels.length === 0 || wrong !== undefined) {
      throw new ShapeError(`autoencoder: ${groups} groups must divide the ${wrong ?? 0} channels of a level`);
    }
    const mixer = (channels: number): Convolution =>
      new Convolution({ inputs: channels, outputs: channels, taps: 1 }, init);
    this.settings = settings;
    this.encoder = new Side(true, settings, init);
    this.decoder = new Side(false, settings, init);
    this.momentsMixer = settings.mixesMoments ? mixer(2 * latents) : null;
    this.latentsMixer = settings.mixesLatents ? mixer(latents) : null;
  }

  /** How many pixels of a picture, along each side, a latent stands for. */
  get pixelsPerLatent(): number {
    return 2 ** (this.settings.levels.length - 1);
  }

  /**
   * pictures `[batch, height, width, channels]`, about −1 … 1 → the distribution of their latents, whose sides are
   * {@link pixelsPerLatent} times smaller.
   *
   * @throws {ShapeError} when that does not divide the sides.
   */
  encode(pictures: Tensor): LatentMoments {
    const { channels, latentChannels } = this.settings;
    const [, height = 0, width = 0, last = 0] = pictures.shape;
    const unit = this.pixelsPerLatent;
    if (pictures.shape.length !== 4 || last !== channels || height % unit !== 0 || width % unit !== 0) {
      throw new ShapeError(
        `autoencoder: pictures must be [batch, height, width, ${channels}] with sides that ${unit} divides, got ${formatShape(pictures.shape)}`,
      );
    }
    const encoded = this.encoder.forward(pictures);
    const moments = this.momentsMixer?.forward(encoded) ?? encoded;
    return {
      mean: moments.slice(-1, 0, latentChannels),
      logVariance: moments.slice(-1, latentChannels, 2 * latentChannels).clamp(-30, 20),
    };
  }

  /**
   * latents `[batch, height, width, latentChannels]` → pictures.
   *
   * @throws {ShapeError} when they have other channels: those of another autoencoder.
   */
  decode(latents: Tensor): Tensor {
    const { latentChannels } = this.settings;
    if (latents.shape.length !== 4 || latents.axis(3) !== latentChannels) {
      throw new ShapeError(
        `autoencoder: latents must be [batch, height, width, ${latentChannels}], got ${formatShape(latents.shape)}; these are another autoencoder's`,
      );
    }
    return this.decoder.forward(this.latentsMixer?.forward(latents) ?? latents);
  }
}

/** Latents drawn from their distribution: mean + σ ⊙ noise. */
export function sampleLatents({ mean, logVariance }: LatentMoments, random: Random): Tensor {
  const noise = Tensor.normal(mean.backend, mean.shape, random.draw());
  return mean.add(logVariance.mul(0.5).exp().mul(noise));
}

/** Divergence of each picture's latents from a standard normal distribution, ½ Σ (mean² + σ² − 1 − log σ²): `[batch]`. */
export function latentDivergence({ mean, logVariance }: LatentMoments): Tensor {
  const each = mean.map("square").add(logVariance.exp()).sub(logVariance).sub(1);
  return each
    .reshape([mean.axis(0), -1])
    .sum(1)
    .mul(0.5);
}
