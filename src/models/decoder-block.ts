import type { ForwardOptions } from "../nn/attention.ts";
import { dropOut } from "../nn/dropout.ts";
import { GatedMlp } from "../nn/gated-mlp.ts";
import type { AttentionPlaces } from "../nn/grouped-attention.ts";
import { GroupedAttention } from "../nn/grouped-attention.ts";
import type { Linear } from "../nn/linear.ts";
import { Mlp } from "../nn/mlp.ts";
import type { Norm } from "../nn/norm.ts";
import { createNorm } from "../nn/norm.ts";
import type { Initializer } from "../nn/parameters.ts";
import { RoutedExperts } from "../nn/routed-experts.ts";
import { usedOnce } from "../nn/used-once.ts";
import { forgetting } from "../tensor/forgetting.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { DecoderSettings } from "./decoder-settings.ts";

/** One Transformer block: attention and a feed-forward layer or routed experts, joined as its settings say. */
export class DecoderBlock {
  /** The norms, each null where the model has none there. */
  readonly attentionNorm: Norm | null;
  readonly attention: GroupedAttention;
  readonly attentionAfter: Norm | null;
  readonly mlpNorm: Norm | null;
  readonly mlp: Mlp | GatedMlp | null;
  readonly experts: RoutedExperts | null;
  readonly mlpAfter: Norm | null;
  readonly #settings: DecoderSettings;
  readonly #layer: number;

  constructor(settings: DecoderSettings, layer: number, init: Initializer) {
    const { width, norm, initializerRange: range, expertRule: rule } = settings;
    const normed = (isThere: boolean): Norm | null => (isThere ? createNorm(width, norm, init) : null);
    this.#settings = settings;
    this.#layer = layer;
    const skips = settings.skipsFirstNorm === true && layer === 0;
    this.attentionNorm = normed(settings.normsBefore && !skips);
    this.attention = new GroupedAttention(
      {
        ...settings,
        ...{ scale: settings.attentionScale, cap: settings.caps.attention, dropout: settings.dropout.attention },
        standardDeviations: [range, range],
      },
      init,
    );
    this.attentionAfter = normed(settings.normsAfter !== null);
    this.mlpNorm = normed(settings.normsBefore && !settings.sharedNorm);
    const hasExperts = rule?.layers[layer] === true;
    this.mlp = hasExperts ? null : feedForward(settings, init);
    this.experts = hasExperts
      ? new RoutedExperts({ ...settings, ...rule, chosen: settings.chosenExperts, standardDeviation: range }, init)
      : null;
    this.mlpAfter = normed(settings.normsAfter !== null);
  }

  /** x `[batch, time, width]` → same shape. Only for blocks without experts. */
  forward(x: Tensor, places: AttentionPlaces, options: ForwardOptions): Tensor {
    return this.#settings.parallel
      ? this.#side(x, places, options)
      : this.#expand(this.#attend(x, places, options), options);
  }

  /** {@link forward} of a block with experts, and the router's logits. Only attention is computed again when asked to. */
  route(x: Tensor, places: AttentionPlaces, options: ForwardOptions): { x: Tensor; routerLogits: Tensor } {
    if (!this.experts) throw new Error("internal: this block has no experts");
    const attend = (): Tensor => this.#attend(x, places, { ...options, random: options.random?.split() ?? null });
    const attended = options.recompute ? forgetting(attend) : attend();
    const { mixture, routerLogits } = this.experts.forward(this.mlpNorm?.forward(attended) ?? attended);
    return { x: this.#join(attended, mixture, this.mlpAfter, options), routerLogits };
  }

  /** Attention beside the feed-forward layer: x + attention(norm x) + mlp(norm x). */
  #side(x: Tensor, places: AttentionPlaces, options: ForwardOptions): Tensor {
    const input = this.attentionNorm?.forward(x) ?? x;
    const mixed = this.attention.mix(input, places, this.#layer, options);
    const attended = this.#add(x, mixed, this.attention.projection, this.attentionAfter, options);
    const own = this.mlpNorm?.forward(x) ?? input;
    return this.#add(attended, this.#mlp.expand(own, options), this.#mlp.projection, this.mlpAfter, options);
  }

  #attend(x: Tensor, places: AttentionPlaces, options: ForwardOptions): Tensor {
    const mixed = through(this.attentionNorm, x, (input) => this.attention.mix(input, places, this.#layer, options));
    return this.#add(x, mixed, this.attention.projection, this.attentionAfter, options);
  }

  #expand(x: Tensor, options: ForwardOptions): Tensor {
    const units = through(this.mlpNorm, x, (input) => this.#mlp.expand(input, options));
    return this.#add(x, units, this.#mlp.projection, this.mlpAfter, options);
  }

  get #mlp(): Mlp | GatedMlp {
    if (!this.mlp) throw new Error("internal: this block has experts");
    return this.mlp;
  }

  /** The residual sum with what a projection makes of a branch, which nothing else may read; in one pass where it can be. */
  #add(x: Tensor, branch: Tensor, projection: Linear, after: Norm | null, options: ForwardOptions): Tensor {
    const { normsAfter, scales, dropout } = this.#settings;
    const isPlain = scales.residual === 1 && normsAfter !== "branch" && !(dropout.residual > 0 && options.random);
    if (!isPlain)
      return this.#join(
        x,
        usedOnce(branch, (inner) => projection.forward(inner, { random: options.random })),
        after,
        options,
      );
    return this.#finish(
      usedOnce(branch, (inner) => projection.forward(inner, { residual: x, random: options.random })),
      after,
    );
  }

  /** The residual sum with what a sub-layer gives: normed first, dropped and scaled as the settings say. */
  #join(x: Tensor, output: Tensor, after: Norm | null, { random }: ForwardOptions): Tensor {
    const { normsAfter, scales, dropout } = this.#settings;
    const normed = after && normsAfter === "branch" ? usedOnce(output, (inner) => after.forward(inner)) : output;
    const dropped = dropOut(normed, dropout.residual, random ?? null);
    return this.#finish(x.add(scales.residual === 1 ? dropped : dropped.mul(scales.residual)), after);
  }

  #finish(sum: Tensor, after: Norm | null): Tensor {
    return after && this.#settings.normsAfter === "sum" ? usedOnce(sum, (all) => after.forward(all)) : sum;
  }
}

function feedForward(settings: DecoderSettings, init: Initializer): Mlp | GatedMlp {
  const { width, hidden, activation, gated, bias, initializerRange: range } = settings;
  const sizes = { width, hidden, activation };
  if (gated) return new GatedMlp({ ...sizes, bias: bias.mlp, standardDeviations: [range, range] }, init);
  const linear = { bias: bias.mlp, standardDeviation: range };
  return new Mlp(sizes, linear, linear, init);
}

/** What `use` makes of x, normed where there is a norm. */
function through(norm: Norm | null, x: Tensor, use: (x: Tensor) => Tensor): Tensor {
  return norm ? usedOnce(norm.forward(x), use) : use(x);
}
