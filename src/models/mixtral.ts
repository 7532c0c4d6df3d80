import { z } from "zod";
import { Random } from "../core/random.ts";
import type { ForwardOptions } from "../nn/attention.ts";
import { KeyValueCache } from "../nn/key-value-cache.ts";
import type { Initializer, Parameter } from "../nn/parameters.ts";
import { RmsNorm } from "../nn/rms-norm.ts";
import { RotaryAttention } from "../nn/rotary-attention.ts";
import { RotaryTable } from "../nn/rotary-table.ts";
import { expertLoad, RoutedExperts, routerZLoss } from "../nn/routed-experts.ts";
import { usedOnce } from "../nn/used-once.ts";
import type { AttentionMask } from "../tensor/ops/attention-mask.ts";
import type { RotaryAngles } from "../tensor/ops/rotary.ts";
import { recomputed } from "../tensor/recompute.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { checkPositions } from "./check-positions.ts";
import type { LanguageModel, TrainingPass } from "./language-model.ts";
import { LlamaSettings } from "./llama.ts";

const size = z.int().positive();

/** Shape of a Mixtral: that of a Llama whose feed-forward layers are `experts`. */
export const MixtralSettings = LlamaSettings.extend({
  /** Feed-forward layers side by side, each `hidden` wide. */
  experts: size.default(8),
  /** Experts that each token goes to. */
  chosenExperts: size.default(2),
  /** Weight of the loss that keeps experts equally busy. */
  balanceWeight: z.number().nonnegative().default(0.001),
  /** Weight of the loss that keeps the router's logits small. */
  routerZWeight: z.number().nonnegative().default(0),
  rotaryBase: z.number().positive().default(1_000_000),
});
export type MixtralSettings = z.infer<typeof MixtralSettings>;

/**
 * Llama with routed experts: as many weights as all experts have, at the cost of the few that a token goes through.
 *
 * @see Jiang et al. (2024), "Mixtral of experts", arXiv:2401.04088.
 */
export class Mixtral implements LanguageModel {
  readonly settings: MixtralSettings;
  /** `[vocabularySize, width]` */
  readonly tokenEmbedding: Parameter;
  readonly blocks: readonly MixtralBlock[];
  readonly finalNorm: RmsNorm;
  /** `[vocabularySize, width]`; null where the token embedding serves. */
  readonly head: Parameter | null;
  readonly #rotary: RotaryTable;

  constructor(settings: MixtralSettings, init: Initializer) {
    const { vocabularySize, width, layers, initializerRange } = settings;
    this.settings = settings;
    this.tokenEmbedding = init.normal([vocabularySize, width], initializerRange);
    this.blocks = Array.from({ length: layers }, (_, layer) => new MixtralBlock(settings, layer, init));
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
    return this.route(ids, options).hidden;
  }

  /** {@link forward}, and the losses of the routers. */
  forwardTraining(ids: Tensor, options: ForwardOptions = {}): TrainingPass {
    const { balanceWeight, routerZWeight, chosenExperts } = this.settings;
    const { hidden, routerLogits } = this.route(ids, options);
    const { loss: balance, largest } = expertLoad(routerLogits, chosenExperts);
    const z = routerLogits
      .map(routerZLoss)
      .reduce((sum, loss) => sum.add(loss))
      .mul(1 / routerLogits.length);
    const penalty = balance.mul(balanceWeight);
    return {
      hidden,
      penalty: routerZWeight > 0 ? penalty.add(z.mul(routerZWeight)) : penalty,
      metrics: { load_balance_loss: balance, router_z_loss: z, largest_expert_load: largest },
    };
  }

  /** {@link forward}, and the routers' logits `[batch · time, experts]` of each block. */
  route(ids: Tensor, options: ForwardOptions = {}): { hidden: Tensor; routerLogits: readonly Tensor[] } {
    const time = ids.axis(1);
    const mask = options.cache?.mask() ?? options.mask ?? { causal: true };
    const positions = options.positions ?? options.cache?.positions(time) ?? null;
    checkPositions("mixtral", this.settings.context, time, positions);
    const angles = this.#rotary.angles(time, positions);
    let x = options.embedded ?? this.tokenEmbedding.gatherRows(ids); // [batch, time, width]
    const routerLogits = this.blocks.map((block) => {
      const passed = block.forward(x, mask, angles, options);
      x = passed.x;
      return passed.routerLogits;
    });
    options.cache?.commit();
    return { hidden: this.finalNorm.forward(x), routerLogits };
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

/** One Transformer block: attention and routed experts, each normalised at its input. */
export class MixtralBlock {
  readonly attentionNorm: RmsNorm;
  readonly attention: RotaryAttention;
  readonly mlpNorm: RmsNorm;
  readonly experts: RoutedExperts;
  readonly #layer: number;

  constructor(settings: MixtralSettings, layer: number, init: Initializer) {
    const { width, normEpsilon, initializerRange: standardDeviation } = settings;
    this.#layer = layer;
    this.attentionNorm = new RmsNorm(width, normEpsilon, init);
    this.attention = new RotaryAttention({ ...settings, dropout: settings.attentionDropout, standardDeviation }, init);
    this.mlpNorm = new RmsNorm(width, normEpsilon, init);
    this.experts = new RoutedExperts({ ...settings, chosen: settings.chosenExperts, standardDeviation }, init);
  }

  /** x `[batch, time, width]` → same shape, and the router's logits. Only attention is computed again when asked to. */
  forward(
    x: Tensor,
    mask: AttentionMask,
    angles: RotaryAngles,
    options: ForwardOptions,
  ): { x: Tensor; routerLogits: Tensor } {
    const state = options.random?.split().state();
    const attend = (input: Tensor): Tensor => {
      const own = { ...options, random: state ? Random.restore(state) : null };
      const mixed = usedOnce(this.attentionNorm.forward(input), (normed) =>
        this.attention.mix(normed, mask, angles, this.#layer, own),
      );
      return this.attention.projection.forward(mixed, { residual: input });
    };
    const attended = options.recompute ? recomputed(attend, x) : attend(x);
    const { mixture, routerLogits } = this.experts.forward(this.mlpNorm.forward(attended));
    return { x: attended.add(mixture), routerLogits };
  }
}
