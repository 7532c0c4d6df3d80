import type { Activation } from "../backend/functions.ts";
import { ShapeError } from "../core/errors.ts";
import { apply, withoutGradients } from "../tensor/op.ts";
import { gatedUnit } from "../tensor/ops/gated-unit.ts";
import { groupedLinear, oneHot, sortByGroup } from "../tensor/ops/groups.ts";
import { scatterRows } from "../tensor/ops/indexing.ts";
import { concat } from "../tensor/ops/movement.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Linear } from "./linear.ts";
import type { Initializer, Parameter } from "./parameters.ts";

/** Sizes and start of {@link RoutedExperts}. */
export interface RoutedExpertsOptions {
  readonly width: number;
  /** Of each expert. */
  readonly hidden: number;
  readonly experts: number;
  /** Experts that each token goes to. */
  readonly chosen: number;
  /** Whether the shares of the chosen ones add up to 1; else they are those among all. Without it, they do. */
  readonly normalizesShares?: boolean;
  readonly activation: Activation;
  /** Of the initial weights. */
  readonly standardDeviation: number;
}

/**
 * Gated feed-forward layers of which every token goes through a few: those that a router finds best, mixed by the
 * softmax of their logits. No token is dropped: rows are sorted by expert, so that each is one matrix product, however
 * many there are.
 *
 * @see Jiang et al. (2024), "Mixtral of experts", section 2.1, arXiv:2401.04088.
 */
export class RoutedExperts {
  /** Logits of the experts, `[experts, width]`. */
  readonly router: Linear;
  /** Gate, then value, of every expert: `[experts, 2 · hidden, width]`. */
  readonly gateAndValue: Parameter;
  /** `[experts, width, hidden]` */
  readonly projection: Parameter;
  readonly #options: RoutedExpertsOptions;

  constructor(options: RoutedExpertsOptions, init: Initializer) {
    const { width, hidden, experts, chosen, standardDeviation } = options;
    if (chosen > experts) throw new ShapeError(`experts: ${chosen} cannot be chosen of ${experts}`);
    this.router = new Linear(width, experts, { bias: false, standardDeviation, isExact: true }, init);
    this.gateAndValue = init.matrix([experts, 2 * hidden, width], standardDeviation);
    this.projection = init.matrix([experts, width, hidden], standardDeviation);
    this.#options = options;
  }

  /** x `[…, width]` → the mixture, same shape, and the router's logits `[rows, experts]`. */
  forward(x: Tensor): { mixture: Tensor; routerLogits: Tensor } {
    const { width, experts, chosen, activation, normalizesShares = true } = this.#options;
    const rows = x.reshape([-1, width]);
    const routerLogits = this.router.forward(rows);
    const choices = bestChoices(routerLogits, chosen);
    const picked = (of: Tensor): Tensor =>
      concat(
        choices.map((choice) => of.pick(choice).reshape([-1, 1])),
        1,
      );
    const shares = normalizesShares ? picked(routerLogits).softmax() : picked(routerLogits.softmax()); // [rows, chosen]
    const order = sortByGroup(choices, experts);
    const sorted = rows.gatherRows(order.rows); // [chosen · rows, width]
    const hidden = apply(groupedLinear, [sorted, this.gateAndValue, order.groupOf], undefined);
    const units = apply(gatedUnit, [hidden], { activation });
    const outputs = apply(groupedLinear, [units, this.projection, order.groupOf], undefined);
    const weights = shares.permute([1, 0]).reshape([-1, 1]).gatherRows(order.places); // [chosen · rows, 1]
    const mixture = apply(scatterRows, [outputs.mul(weights), order.rows], { rows: rows.axis(0) });
    return { mixture: mixture.reshape(x.shape), routerLogits };
  }
}

/** The `count` largest logits of each row, best first: int32 `[rows]` for each. Logits `[rows, experts]`. */
export function bestChoices(logits: Tensor, count: number): Tensor[] {
  return withoutGradients(() => {
    const choices: Tensor[] = [];
    let left = logits.detach();
    for (let i = 0; i < count; i++) {
      const best = left.argmax();
      choices.push(best);
      left = left.sub(oneHot(best, logits.axis(1)).mul(1e30));
    }
    return choices;
  });
}

/** How evenly tokens are spread over experts. */
export interface ExpertLoad {
  /** Scalar: experts · Σₑ (share of tokens sent to e) · (mean probability of e); `chosen` when all are even. */
  readonly loss: Tensor;
  /** Scalar: share of the busiest expert over an even one; 1 when all are even. Off the tape. */
  readonly largest: Tensor;
}

/**
 * The loss that keeps experts equally busy, over the tokens of all layers together. Its gradient goes through the
 * probabilities: those of the experts that have too much fall.
 *
 * Shapes: each of `routerLogits` `[rows, experts]` → scalars.
 *
 * @see Fedus et al. (2022), "Switch Transformers", equations 4 to 6, arXiv:2101.03961; over `chosen` experts as in
 * Mixtral's published code.
 */
export function expertLoad(routerLogits: readonly Tensor[], chosen: number): ExpertLoad {
  const logits = concat(routerLogits, 0);
  const experts = logits.axis(1);
  const sent = withoutGradients(() =>
    bestChoices(logits, chosen)
      .map((choice) => oneHot(choice, experts).mean(0))
      .reduce((sum, shares) => sum.add(shares)),
  ); // [experts], adding up to `chosen`
  const loss = sent.mul(logits.softmax().mean(0)).sum().mul(experts);
  return { loss, largest: withoutGradients(() => sent.max(0).mul(experts / chosen)) };
}

/**
 * Keeps a router's logits small, where float rounding is fine: 1/n Σᵢ (log Σₑ exp zᵢₑ)².
 *
 * Shapes: routerLogits `[rows, experts]` → scalar.
 *
 * @see Zoph et al. (2022), "ST-MoE: Designing stable and transferable sparse expert models", equation 5,
 * arXiv:2202.08906.
 */
export function routerZLoss(routerLogits: Tensor): Tensor {
  // log Σ exp z = z₀ − log softmax(z)₀, whatever element is taken.
  const first = routerLogits.slice(-1, 0, 1);
  const logSumExp = first.sub(routerLogits.logSoftmax().slice(-1, 0, 1));
  return logSumExp.map("square").mean();
}
