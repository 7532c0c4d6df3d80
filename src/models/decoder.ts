import type { ForwardOptions } from "../nn/attention.ts";
import { throughBlocks } from "../nn/block-stack.ts";
import { dropOut } from "../nn/dropout.ts";
import type { AttentionPlaces } from "../nn/grouped-attention.ts";
import type { CacheType } from "../nn/key-value-cache.ts";
import { KeyValueCache } from "../nn/key-value-cache.ts";
import type { Norm } from "../nn/norm.ts";
import { createNorm } from "../nn/norm.ts";
import type { Initializer, Parameter } from "../nn/parameters.ts";
import type { RotaryRule } from "../nn/rotary-table.ts";
import { RotaryTable } from "../nn/rotary-table.ts";
import { expertLoad, routerZLoss } from "../nn/routed-experts.ts";
import { usedOnce } from "../nn/used-once.ts";
import type { AttentionMask } from "../tensor/ops/attention-mask.ts";
import { withinWindow } from "../tensor/ops/attention-mask.ts";
import { Tensor } from "../tensor/tensor.ts";
import { checkPositions, renewedPositions } from "./check-positions.ts";
import { DecoderBlock } from "./decoder-block.ts";
import type { DecoderSettings } from "./decoder-settings.ts";
import { alibiSlopes } from "./decoder-settings.ts";
import type { LanguageModel, TrainingPass } from "./language-model.ts";

/**
 * Decoder-only Transformer of declared properties: what Llama, Qwen, Gemma, Phi, Pythia, BLOOM, OLMo, Mixtral and their
 * kin have in common, and the dozen ways in which they differ.
 *
 * @see Touvron et al. (2023), section 2.2, arXiv:2302.13971 (Llama's block, where nothing else is declared); Jiang et al.
 * (2024), arXiv:2401.04088 (experts); Chowdhery et al. (2022), section 2, arXiv:2204.02311 (parallel sub-layers); Gemma
 * Team (2024), section 2, arXiv:2408.00118 (windows, caps, norms after).
 */
export class TransformerDecoder implements LanguageModel {
  readonly settings: DecoderSettings;
  /** `[vocabularySize, width]` */
  readonly tokenEmbedding: Parameter;
  /** `[context + offset, width]`, where positions are learned. */
  readonly positionEmbedding: Parameter | null;
  readonly embeddingNorm: Norm | null;
  readonly blocks: readonly DecoderBlock[];
  readonly finalNorm: Norm | null;
  /** `[vocabularySize, width]`; null where the token embedding serves. */
  readonly head: Parameter | null;
  /** `[vocabularySize]` */
  readonly headBias: Parameter | null;
  /** `[heads]`, where scores fall with distance. */
  readonly #slopes: Tensor | null;
  /** One for each rule of turning that a layer has. */
  readonly #tables = new Map<RotaryRule, RotaryTable>();

  constructor(settings: DecoderSettings, init: Initializer) {
    const { vocabularySize, width, layers, norm, positions, initializerRange: range } = settings;
    this.settings = settings;
    this.tokenEmbedding = init.matrix([vocabularySize, width], range);
    const rows = positions.kind === "learned" ? settings.context + positions.offset : null;
    this.positionEmbedding = rows === null ? null : init.normal([rows, width], range);
    this.embeddingNorm = settings.embeddingNorm ? createNorm(width, norm, init) : null;
    this.blocks = Array.from({ length: layers }, (_, layer) => new DecoderBlock(settings, layer, init));
    this.finalNorm = settings.normsBefore || settings.normsAfter === "branch" ? createNorm(width, norm, init) : null;
    this.head = settings.tiedEmbeddings ? null : init.matrix([vocabularySize, width], range);
    this.headBias = settings.bias.head ? init.constant([vocabularySize], 0) : null;
    this.#slopes = slopesOf(settings, init);
    for (const { rotary } of settings.attention) {
      if (rotary) this.#tables.set(rotary, new RotaryTable(init.backend, settings.headDim, rotary));
    }
  }

  get backend(): Tensor["backend"] {
    return this.tokenEmbedding.backend;
  }

  get outputWeight(): Parameter {
    return this.head ?? this.tokenEmbedding;
  }

  get outputBias(): Parameter | null {
    return this.headBias;
  }

  get logitCap(): number | null {
    return this.settings.caps.logits;
  }

  /** Token ids int32 `[batch, time]` → hidden states `[batch, time, width]`. */
  forward(ids: Tensor, options: ForwardOptions = {}): Tensor {
    return this.route(ids, options).hidden;
  }

  /** {@link forward}, and the losses of the routers where there are some. */
  forwardTraining(ids: Tensor, options: ForwardOptions = {}): TrainingPass {
    const { hidden, routerLogits } = this.route(ids, options);
    const rule = this.settings.expertRule;
    if (!rule || routerLogits.length === 0) return { hidden, penalty: null, metrics: {} };
    const { loss: balance, largest } = expertLoad(routerLogits, this.settings.chosenExperts);
    const z = routerLogits
      .map(routerZLoss)
      .reduce((sum, loss) => sum.add(loss))
      .mul(1 / routerLogits.length);
    const penalty = balance.mul(rule.balanceWeight);
    return {
      hidden,
      penalty: rule.routerZWeight > 0 ? penalty.add(z.mul(rule.routerZWeight)) : penalty,
      metrics: { load_balance_loss: balance, router_z_loss: z, largest_expert_load: largest },
    };
  }

  /** {@link forward}, and the routers' logits `[batch · time, experts]` of each block that has experts. */
  route(ids: Tensor, options: ForwardOptions = {}): { hidden: Tensor; routerLogits: readonly Tensor[] } {
    const time = ids.axis(1);
    const mask = options.cache?.mask() ?? options.mask ?? { causal: true };
    const positions = options.positions ?? options.cache?.positions(time) ?? null;
    const [name, { context }] = [String(this.settings.config.model_type), this.settings];
    checkPositions(name, context, time, positions);
    const renew = renewedPositions(name, context, time, options);
    const placesOf = this.#places(ids, mask, { positions, renew });
    let x = this.#embed(ids, { positions, renew }, options); // [batch, time, width]
    const routerLogits: Tensor[] = [];
    this.blocks.forEach((block, layer) => {
      const places = placesOf(layer);
      if (block.experts) {
        const routed = block.route(x, places, options);
        x = routed.x;
        options.afterBlock?.(x);
        routerLogits.push(routed.routerLogits);
      } else x = throughBlocks([block], x, options, (one, input, own) => one.forward(input, places, own));
    });
    options.cache?.commit();
    return { hidden: this.finish(x), routerLogits };
  }

  finish(states: Tensor): Tensor {
    const { logits: scale } = this.settings.scales;
    const last = this.finalNorm?.forward(states) ?? states;
    return scale === 1 ? last : last.mul(scale);
  }

  /** Hidden states `[…, width]` → logits `[…, vocabularySize]`. */
  logits(hidden: Tensor): Tensor {
    const product = hidden.matmul(this.outputWeight, { transposeB: true });
    const logits = this.headBias ? product.add(this.headBias) : product;
    const cap = this.logitCap;
    if (cap === null) return logits;
    return logits
      .mul(1 / cap)
      .map("tanh")
      .mul(cap);
  }

  newCache(slots: number, capacity: number, type?: CacheType): KeyValueCache {
    const { layers, keyValueHeads, headDim } = this.settings;
    return new KeyValueCache(this.backend, { layers, slots, capacity, width: keyValueHeads * headDim, type });
  }

  #embed(ids: Tensor, given: GivenPositions, options: ForwardOptions): Tensor {
    const { scales, dropout } = this.settings;
    const tokens = options.embedded ?? this.tokenEmbedding.gatherRows(ids);
    const scaled = scales.embedding === 1 ? tokens : tokens.mul(scales.embedding);
    const placed = this.positionEmbedding ? scaled.add(this.#positionRows(ids, given)) : scaled;
    const normed = this.embeddingNorm?.forward(placed) ?? placed;
    return dropOut(normed, dropout.embedding, options.random ?? null);
  }

  #positionRows(ids: Tensor, { positions, renew }: GivenPositions): Tensor {
    const table = this.positionEmbedding;
    const rule = this.settings.positions;
    if (!table || rule.kind !== "learned") throw new Error("internal: this model's positions are not learned");
    const time = ids.axis(1);
    if (!positions) return table.slice(0, rule.offset, rule.offset + time); // [time, width]
    const rowsOf = (places: Int32Array): Int32Array => places.map((position) => position + rule.offset);
    const rows = Tensor.given(this.backend, rowsOf(positions), ids.shape, renew && (() => rowsOf(renew())));
    return usedOnce(rows, (own) => table.gatherRows(own)); // [batch, time, width]
  }

  /** What each layer's attention is told of places; made once for all layers of a kind. */
  #places(ids: Tensor, mask: AttentionMask, { positions, renew }: GivenPositions): (layer: number) => AttentionPlaces {
    const [batch, time] = [ids.axis(0), ids.axis(1)];
    const angles = new Map([...this.#tables].map(([rule, table]) => [rule, table.angles(time, positions, renew)]));
    const masks = new Map<number | null, AttentionMask>([[null, mask]]);
    return (layer) => {
      const { window = null, rotary = null } = this.settings.attention[layer] ?? {};
      const own = masks.get(window) ?? withinWindow(mask, window ?? 0, batch, time);
      masks.set(window, own);
      return { mask: own, angles: (rotary && angles.get(rotary)) ?? null, slopes: this.#slopes };
    };
  }
}

/** Where the tokens of a pass stand, null for their places in the sequence; and those of the next pass like it. */
interface GivenPositions {
  readonly positions: Int32Array | null;
  readonly renew: (() => Int32Array) | undefined;
}

function slopesOf({ positions, heads }: DecoderSettings, { backend }: Initializer): Tensor | null {
  if (positions.kind !== "alibi") return null;
  const slopes = alibiSlopes(heads).map((slope) => slope * positions.scale);
  return Tensor.from(backend, slopes, [heads]).keep();
}
