import { ShapeError } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import { formatShape } from "../../core/shape.ts";
import { Convolution } from "../../nn/convolution.ts";
import { GroupNorm } from "../../nn/group-norm.ts";
import type { Initializer } from "../../nn/parameters.ts";
import { usedOnce } from "../../nn/used-once.ts";
import { concat, upsampleNearest } from "../../tensor/ops/movement.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Denoiser, TextCondition } from "./denoiser.ts";
import { PictureTransformer } from "./picture-transformer.ts";
import { ResidualBlock } from "./residual-block.ts";
import type { TimeWaves } from "./time-embedding.ts";
import { TimeEmbedding } from "./time-embedding.ts";

/** One size of picture in a {@link UNet}. */
export interface UNetLevel {
  readonly channels: number;
  /** Heads of attention, where its pixels look at each other and at the text; null where they do not. */
  readonly heads: number | null;
}

/** Everything that a {@link UNet} is made by. */
export interface UNetSettings extends TimeWaves {
  /** Of the pictures, or latents, that it reads. */
  readonly channels: number;
  /** Of what it gives. */
  readonly outputChannels: number;
  /** Height and width that it was made for; others work, too. */
  readonly pictureSize: number | null;
  /** From the largest pictures to the smallest, each half as large as the one before. */
  readonly levels: readonly UNetLevel[];
  /** Heads of the blocks between the way down and the way up. */
  readonly middleHeads: number;
  /** Residual blocks of a level on the way down; one more on the way up. */
  readonly layers: number;
  /** Blocks of each transformer. */
  readonly transformerLayers: number;
  readonly textWidth: number;
  /** Of group norms; divides the channels of every level. */
  readonly groups: number;
  readonly normEpsilon: number;
  readonly dropout: number;
  /** Whether a folder stores the first and last layers of transformers as matrices, not as filters of one pixel. */
  readonly hasLinearProjections: boolean;
}

/** Residual blocks of one level on the way down or up, each with a transformer behind it where the level has them. */
class Level {
  readonly resnets: readonly ResidualBlock[];
  readonly attentions: readonly PictureTransformer[];
  /** Halves the picture behind the level. */
  readonly downsampler: Convolution | null;
  /** Of the doubled picture behind the level. */
  readonly upsampler: Convolution | null;

  constructor(
    inputs: readonly number[],
    { channels, heads }: UNetLevel,
    resize: "half" | "double" | null,
    settings: UNetSettings,
    init: Initializer,
  ) {
    const { transformerLayers: layers, textWidth, groups } = settings;
    this.resnets = inputs.map((from) => residualBlock(from, channels, settings, init));
    this.attentions =
      heads === null
        ? []
        : inputs.map(() => new PictureTransformer({ channels, heads, textWidth, layers, groups }, init));
    const sizes = { inputs: channels, outputs: channels, taps: 3 };
    const padding = { top: 1, left: 1, bottom: 1, right: 1 };
    this.downsampler = resize === "half" ? new Convolution({ ...sizes, stride: 2, padding }, init) : null;
    this.upsampler = resize === "double" ? new Convolution(sizes, init) : null;
  }

  /** Layer `i` of the level. */
  layer(i: number, x: Tensor, told: Told): Tensor {
    const states = this.resnets[i]?.forward(x, told.time, told.random) ?? x;
    return this.attentions[i]?.forward(states, told.text) ?? states;
  }
}

/** What every block is told. */
interface Told {
  readonly time: Tensor;
  readonly text: TextCondition;
  readonly random: Random | null;
}

function residualBlock(inputs: number, outputs: number, settings: UNetSettings, init: Initializer): ResidualBlock {
  const { groups, normEpsilon: epsilon, dropout, levels } = settings;
  return new ResidualBlock(
    { inputs, outputs, timeWidth: 4 * (levels[0]?.channels ?? 0), groups, epsilon, dropout },
    init,
  );
}

/**
 * U-Net that is told a time and a text: residual convolutions and transformers over ever smaller pictures and back, where
 * each layer of the way up sees what the one at its height on the way down gave.
 *
 * @see Ronneberger et al. (2015), arXiv:1505.04597; with text: Rombach et al. (2022), "High-resolution image synthesis
 * with latent diffusion models", section 3.3, arXiv:2112.10752. Layers and names are those of `UNet2DConditionModel`.
 */
export class UNet implements Denoiser {
  readonly settings: UNetSettings;
  readonly convIn: Convolution;
  readonly timeEmbedding: TimeEmbedding;
  readonly downBlocks: readonly Level[];
  readonly middle: { readonly resnets: readonly ResidualBlock[]; readonly attentions: readonly PictureTransformer[] };
  readonly upBlocks: readonly Level[];
  readonly normOut: GroupNorm;
  readonly convOut: Convolution;

  /** @throws {ShapeError} when groups or heads do not divide the channels of a level. */
  constructor(settings: UNetSettings, init: Initializer) {
    checkSettings(settings);
    const { channels, outputChannels, levels, layers, groups, normEpsilon: epsilon, textWidth } = settings;
    const widths = levels.map((level) => level.channels);
    const [first = 0, last = 0] = [widths[0], widths.at(-1)];
    this.settings = settings;
    this.convIn = new Convolution({ inputs: channels, outputs: first, taps: 3 }, init);
    this.timeEmbedding = new TimeEmbedding(first, 4 * first, settings, init);
    this.downBlocks = levels.map((level, i) => {
      const inputs = Array.from({ length: layers }, (_, j) => (j === 0 ? (widths[i - 1] ?? first) : level.channels));
      return new Level(inputs, level, i < levels.length - 1 ? "half" : null, settings, init);
    });
    this.middle = {
      attentions: [
        new PictureTransformer(
          { channels: last, heads: settings.middleHeads, textWidth, groups, layers: settings.transformerLayers },
          init,
        ),
      ],
      resnets: [0, 1].map(() => residualBlock(last, last, settings, init)),
    };
    this.upBlocks = levels.toReversed().map((level, i) => {
      const at = levels.length - 1 - i;
      const [before, skipped] = [widths[at + 1] ?? last, widths[at - 1] ?? first];
      const inputs = Array.from(
        { length: layers + 1 },
        (_, j) => (j === 0 ? before : level.channels) + (j === layers ? skipped : level.channels),
      );
      return new Level(inputs, level, at > 0 ? "double" : null, settings, init);
    });
    this.normOut = new GroupNorm(first, { groups, epsilon }, init);
    this.convOut = new Convolution({ inputs: first, outputs: outputChannels, taps: 3, startsAtZero: true }, init);
  }

  get channels(): number {
    return this.settings.channels;
  }

  get textWidth(): number {
    return this.settings.textWidth;
  }

  denoise(noisy: Tensor, times: Tensor, text: TextCondition | null, random: Random | null): Tensor {
    const told = { time: this.timeEmbedding.forward(times), text: this.#check(noisy, text), random };
    const skipped = [this.convIn.forward(noisy)];
    const top = (): Tensor => skipped.at(-1) as Tensor;
    for (const level of this.downBlocks) {
      for (const i of level.resnets.keys()) skipped.push(level.layer(i, top(), told));
      if (level.downsampler) skipped.push(level.downsampler.forward(top()));
    }
    let states = this.middle.resnets[0]?.forward(top(), told.time, random) ?? top();
    states = this.middle.attentions[0]?.forward(states, told.text) ?? states;
    states = this.middle.resnets[1]?.forward(states, told.time, random) ?? states;
    for (const level of this.upBlocks) {
      for (const i of level.resnets.keys())
        states = level.layer(i, concat([states, skipped.pop() as Tensor], -1), told);
      const { upsampler } = level;
      if (upsampler) states = usedOnce(upsampleNearest(states), (large) => upsampler.forward(large));
    }
    return usedOnce(this.normOut.forward(states, "silu"), (normal) => this.convOut.forward(normal));
  }

  #check(noisy: Tensor, text: TextCondition | null): TextCondition {
    const { channels, textWidth, levels } = this.settings;
    const unit = 2 ** (levels.length - 1);
    const [, height = 0, width = 0, last = 0] = noisy.shape;
    if (noisy.shape.length !== 4 || last !== channels || height % unit !== 0 || width % unit !== 0) {
      throw new ShapeError(
        `U-Net: pictures must be [batch, height, width, ${channels}] with sides that ${unit} divides, got ${formatShape(noisy.shape)}`,
      );
    }
    if (text?.states.axis(-1) === textWidth && text.states.axis(0) === noisy.axis(0)) return text;
    const found = text ? `they are ${formatShape(text.states.shape)}` : "there are none";
    throw new ShapeError(`U-Net: states of a text must be [${noisy.axis(0)}, tokens, ${textWidth}], ${found}`);
  }
}

function checkSettings({ levels, groups, middleHeads }: UNetSettings): void {
  const last = levels.at(-1);
  const all = [...levels, ...(last ? [{ ...last, heads: middleHeads }] : [])];
  const wrong = all.find(({ channels, heads }) => channels % groups !== 0 || channels % (heads ?? 1) !== 0);
  if (!last) throw new ShapeError("U-Net: it has no levels; name the channels of at least one");
  if (!wrong) return;
  const heads = wrong.heads === null ? "" : ` and ${wrong.heads} heads`;
  throw new ShapeError(`U-Net: ${groups} groups${heads} must divide the ${wrong.channels} channels of a level`);
}
