import { isWeightFormat } from "../backend/weight-formats.ts";
import type { ForwardOptions } from "../nn/attention.ts";
import { SelfAttention } from "../nn/attention.ts";
import { CrossAttention } from "../nn/cross-attention.ts";
import { dropOut } from "../nn/dropout.ts";
import { GatedMlp } from "../nn/gated-mlp.ts";
import type { Linear } from "../nn/linear.ts";
import { Mlp } from "../nn/mlp.ts";
import type { Norm } from "../nn/norm.ts";
import { createNorm } from "../nn/norm.ts";
import type { Initializer } from "../nn/parameters.ts";
import { usedOnce } from "../nn/used-once.ts";
import type { AttentionMask } from "../tensor/ops/attention-mask.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { EncoderDecoderSettings } from "./encoder-decoder-settings.ts";
import type { EncodedText, PassOptions } from "./text-to-text-model.ts";

/** What all blocks of a stack are given beside the hidden states. */
export interface StackInputs {
  /** `[heads, time, keys]`, added to the scores of self-attention. */
  readonly bias: Tensor | null;
  /** What a decoder looks at. */
  readonly text: EncodedText | null;
  readonly mask: AttentionMask;
}

/** One block: self-attention, in the decoder attention to the text, and a feed-forward layer. */
export class EncoderDecoderBlock {
  readonly attentionNorm: Norm;
  readonly attention: SelfAttention;
  readonly crossNorm: Norm | null;
  readonly cross: CrossAttention | null;
  readonly mlpNorm: Norm;
  readonly mlp: Mlp | GatedMlp;
  readonly #settings: EncoderDecoderSettings;
  readonly #layer: number;

  constructor(settings: EncoderDecoderSettings, isDecoder: boolean, layer: number, init: Initializer) {
    const { width, norm, bias, deviations, attentionScale: scale, dropout } = settings;
    const attention = {
      ...settings,
      ...{ scale, dropout: dropout.attention },
      qkv: { bias, standardDeviation: deviations.inward },
      projection: { bias, standardDeviation: deviations.mixed },
    };
    this.attentionNorm = createNorm(width, norm, init);
    this.attention = new SelfAttention(attention, init);
    shrinkQueries(this.attention.qkv.weight, settings);
    this.crossNorm = isDecoder ? createNorm(width, norm, init) : null;
    this.cross = isDecoder ? new CrossAttention(attention, init) : null;
    if (this.cross) shrinkQueries(this.cross.query.weight, settings);
    this.mlpNorm = createNorm(width, norm, init);
    this.mlp = feedForward(settings, init);
    this.#settings = settings;
    this.#layer = layer;
  }

  /** x `[batch, time, width]` → same shape. */
  forward(x: Tensor, { bias, text, mask }: StackInputs, options: PassOptions): Tensor {
    const { random = null } = options;
    const mixed = this.#read(x, this.attentionNorm, (input) =>
      this.attention.mix(input, mask, this.#layer, options, bias),
    );
    const attended = this.#add(x, mixed, this.attention.projection, this.attentionNorm, random);
    const looked = text ? this.#look(attended, text, random) : attended;
    const expanded = this.#read(looked, this.mlpNorm, (input) => this.mlp.expand(input, { random }));
    const kept = dropOut(expanded, this.#settings.dropout.activation, random);
    return usedOnce(kept, (inner) => this.#add(looked, inner, this.mlp.projection, this.mlpNorm, random));
  }

  #look(x: Tensor, text: EncodedText, random: ForwardOptions["random"]): Tensor {
    const { cross, crossNorm } = this;
    if (!cross || !crossNorm) return x;
    const remembered = text.remembered?.[this.#layer] ?? cross.remember(text.hidden, random);
    const sees: AttentionMask = { causal: false, keyLengths: text.lengths ?? undefined, renew: () => sees };
    const read = this.#read(x, crossNorm, (input) => cross.mix(input, remembered, sees, random));
    return this.#add(x, read, cross.projection, crossNorm, random);
  }

  /** What a sub-layer makes of x, normed first where norms stand at inputs. */
  #read(x: Tensor, norm: Norm, use: (x: Tensor) => Tensor): Tensor {
    return this.#settings.normsBefore ? usedOnce(norm.forward(x), use) : use(x);
  }

  /** x + dropout(projection(branch)), in one pass when nothing is dropped; normed where norms stand behind sums. */
  #add(x: Tensor, branch: Tensor, projection: Linear, norm: Norm, random: ForwardOptions["random"]): Tensor {
    const { normsBefore, dropout } = this.#settings;
    const isPlain = dropout.residual === 0 || !random;
    const sum = isPlain
      ? projection.forward(branch, { residual: x, random })
      : x.add(dropOut(projection.forward(branch, { random }), dropout.residual, random));
    return normsBefore ? sum : usedOnce(sum, (all) => norm.forward(all));
  }
}

function feedForward(settings: EncoderDecoderSettings, init: Initializer): Mlp | GatedMlp {
  const { bias, gated, deviations } = settings;
  const { inward, outward } = deviations;
  if (gated) return new GatedMlp({ ...settings, standardDeviations: [inward, outward] }, init);
  return new Mlp(settings, { bias, standardDeviation: inward }, { bias, standardDeviation: outward }, init);
}

/** Gives the rows of queries, the first of a packed matrix, the deviation that they are to start with. */
function shrinkQueries(weight: Tensor, { heads, headDim, width, deviations }: EncoderDecoderSettings): void {
  // Only what is to be trained begins with numbers of its own.
  if (deviations.query === deviations.inward || isWeightFormat(weight.dtype)) return;
  const queries = weight.window(0, [heads * headDim, width]);
  queries.backend.kernels.affine(queries, deviations.query / deviations.inward, 0, queries);
}
