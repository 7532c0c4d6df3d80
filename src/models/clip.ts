import { z } from "zod";
import { CheckpointError } from "../core/errors.ts";
import type { ForwardOptions } from "../nn/attention.ts";
import { throughBlocks } from "../nn/block-stack.ts";
import { Linear } from "../nn/linear.ts";
import { LayerNorm } from "../nn/norm.ts";
import type { Initializer, Parameter } from "../nn/parameters.ts";
import { concat } from "../tensor/ops/movement.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { ActivationKind } from "./activation-names.ts";
import { layersOrNone, size } from "./config-numbers.ts";
import { Block } from "./gpt.ts";
import type { StoredModel } from "./language-model.ts";
import { poolStates } from "./pool-states.ts";
import { unitVectors } from "./unit-vectors.ts";

const tower = {
  width: size,
  layers: layersOrNone,
  heads: size,
  /** Width of the feed-forward layer. */
  hidden: size,
  activation: ActivationKind,
  normEpsilon: z.number().positive().default(1e-5),
};

/** Shape of a {@link Clip}. */
export const ClipSettings = z.object({
  vision: z.object({ ...tower, imageSize: size, patchSize: size }),
  text: z.object({
    ...tower,
    vocabularySize: size,
    /** Positions, and so the longest text. */
    context: size,
    /** What a text is: the state of its last token, which has seen all others; or the mean of its tokens, of which none sees another. */
    pooling: z.enum(["last", "mean"]).default("last"),
  }),
  /** Width of the space that both lead to. */
  projection: size,
  /** Whether a bias is added to the scaled cosines, as SigLIP's loss needs. */
  hasBias: z.boolean().default(false),
});
export type ClipSettings = z.infer<typeof ClipSettings>;

/** What a forward pass is told: `recompute` keeps only the input of each block for the gradient, and computes the rest again. */
type ClipOptions = Pick<ForwardOptions, "recompute">;

/** Pictures and texts in one space, in which those that belong together are near. */
export class Clip implements StoredModel {
  readonly settings: ClipSettings;
  readonly vision: PictureEncoder;
  readonly text: TextEncoder;
  readonly pictureProjection: Linear;
  readonly textProjection: Linear;
  /** `[]`: logarithm of what multiplies the cosines. */
  readonly logitScale: Parameter;
  /** `[]` */
  readonly logitBias: Parameter | null;

  constructor(settings: ClipSettings, init: Initializer) {
    const { vision, text, projection, hasBias } = settings;
    this.settings = settings;
    this.vision = new PictureEncoder(vision, init);
    this.text = new TextEncoder(text, init);
    const linear = (width: number): Linear =>
      new Linear(width, projection, { bias: false, standardDeviation: 1 / Math.sqrt(width) }, init);
    this.pictureProjection = linear(vision.width);
    this.textProjection = linear(text.width);
    this.logitScale = init.constant([], Math.log(hasBias ? 10 : 1 / 0.07));
    this.logitBias = hasBias ? init.constant([], -10) : null;
  }

  get backend(): Tensor["backend"] {
    return this.logitScale.backend;
  }

  /** Patches `[batch, patches, 3 · patchSize²]` → vectors of length 1, `[batch, projection]`. */
  pictures(patches: Tensor, options: ClipOptions = {}): Tensor {
    return unitVectors(this.pictureProjection.forward(this.vision.pooled(this.vision.forward(patches, options))));
  }

  /** Ids int32 `[batch, time]`, of which the first `lengths` count → vectors of length 1, `[batch, projection]`. */
  texts(ids: Tensor, lengths: Int32Array, options: ClipOptions = {}): Tensor {
    return unitVectors(this.textProjection.forward(this.text.forward(ids, lengths, options)));
  }
}

/**
 * Vision Transformer: a picture's patches as a sequence behind one token that stands for the whole.
 *
 * @see Dosovitskiy et al. (2021), "An image is worth 16x16 words", section 3.1, arXiv:2010.11929; as in CLIP with a
 * norm before the blocks, one behind on the first token, and a patch embedding without bias.
 */
export class PictureEncoder {
  /** `[width]` */
  readonly classEmbedding: Parameter;
  /** `[width, 3 · patchSize²]`: of a patch, all of red by rows, then green, then blue. */
  readonly patchEmbedding: Parameter;
  /** `[1 + patches, width]` */
  readonly positionEmbedding: Parameter;
  readonly inputNorm: LayerNorm;
  readonly blocks: readonly Block[];
  readonly finalNorm: LayerNorm;

  constructor(settings: ClipSettings["vision"], init: Initializer) {
    const { width, imageSize, patchSize, normEpsilon } = settings;
    if (imageSize % patchSize !== 0)
      throw new CheckpointError(`clip: patches of ${patchSize} pixels do not fill ${imageSize}; choose a divisor`);
    const inputs = 3 * patchSize ** 2;
    this.classEmbedding = init.normal([width], 1 / Math.sqrt(width));
    this.patchEmbedding = init.matrix([width, inputs], 0.02);
    this.positionEmbedding = init.normal([1 + (imageSize / patchSize) ** 2, width], 1 / Math.sqrt(width));
    this.inputNorm = new LayerNorm(width, normEpsilon, init);
    this.blocks = blocksOf(settings, init);
    this.finalNorm = new LayerNorm(width, normEpsilon, init);
  }

  /** Patches `[batch, patches, 3 · patchSize²]` → states `[batch, 1 + patches, width]`. */
  forward(patches: Tensor, options: ClipOptions = {}): Tensor {
    const [batch, width] = [patches.axis(0), this.classEmbedding.size];
    const embedded = patches.matmul(this.patchEmbedding, { transposeB: true });
    const first = patches.filled([batch, 1, width], 0).add(this.classEmbedding);
    const placed = concat([first, embedded], 1).add(this.positionEmbedding);
    return throughBlocks(this.blocks, this.inputNorm.forward(placed), options, (block, x, own) =>
      block.forward(x, { causal: false }, own),
    );
  }

  /** States `[batch, 1 + patches, width]` → that of the whole, `[batch, width]`. */
  pooled(states: Tensor): Tensor {
    return this.finalNorm.forward(states.slice(1, 0, 1).reshape([states.axis(0), states.axis(2)]));
  }
}

/** A text as one state: a Transformer whose last token has seen all, or the mean of its words. */
export class TextEncoder {
  /** `[vocabularySize, width]` */
  readonly tokenEmbedding: Parameter;
  /** `[context, width]`; null where no token sees another. */
  readonly positionEmbedding: Parameter | null;
  readonly blocks: readonly Block[];
  readonly finalNorm: LayerNorm;
  readonly #pooling: ClipSettings["text"]["pooling"];

  constructor(settings: ClipSettings["text"], init: Initializer) {
    const { width, vocabularySize, context, normEpsilon, pooling } = settings;
    this.#pooling = pooling;
    this.tokenEmbedding = init.matrix([vocabularySize, width], 0.02);
    this.positionEmbedding = pooling === "mean" ? null : init.normal([context, width], 0.01);
    this.blocks = blocksOf(settings, init);
    this.finalNorm = new LayerNorm(width, normEpsilon, init);
  }

  /** Ids int32 `[batch, time]`, of which the first `lengths` count → `[batch, width]`. */
  forward(ids: Tensor, lengths: Int32Array, options: ClipOptions = {}): Tensor {
    const [batch, time] = [ids.axis(0), ids.axis(1)];
    const texts = { batch, time, lengths, skipped: new Int32Array(batch) };
    const tokens = this.tokenEmbedding.gatherRows(ids);
    if (this.#pooling === "mean") return this.finalNorm.forward(poolStates("mean", tokens, texts));
    const placed = this.positionEmbedding ? tokens.add(this.positionEmbedding.slice(0, 0, time)) : tokens;
    const states = throughBlocks(this.blocks, placed, options, (block, x, own) =>
      block.forward(x, { causal: true }, own),
    );
    return this.finalNorm.forward(poolStates("lasttoken", states, texts));
  }
}

function blocksOf(settings: Omit<ClipSettings["vision"], "imageSize" | "patchSize">, init: Initializer): Block[] {
  const { width, heads } = settings;
  if (width % heads !== 0)
    throw new CheckpointError(`clip: ${heads} heads do not divide a width of ${width}; choose a divisor`);
  const more = { normPosition: "before", attentionDropout: 0, residualDropout: 0 } as const;
  const block = { ...settings, ...more, initializerRange: 1 / Math.sqrt(width) };
  return Array.from({ length: settings.layers }, (_, layer) => new Block(block, layer, init));
}
