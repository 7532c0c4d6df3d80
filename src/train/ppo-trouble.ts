import type { Metrics } from "./run.ts";

/** What is compared with the metrics of an iteration. */
export interface TroubleLimits {
  /** KL of an answer, in nats, above which the policy has left its reference. */
  readonly klBudget: number;
  /** Answers of an iteration. */
  readonly answers: number;
  /** Entropy of a token in the first iteration, in nats, or null in that one. */
  readonly firstEntropy: number | null;
}

/** One way in which PPO goes wrong. */
interface Trouble {
  readonly name: string;
  readonly isThere: (metrics: Metrics, limits: TroubleLimits) => boolean;
  readonly says: (metrics: Metrics, limits: TroubleLimits) => string;
}

const at = (metrics: Metrics, name: string): number => metrics[name] ?? Number.NaN;
const show = (value: number): string => value.toPrecision(3);

const troubles: readonly Trouble[] = [
  {
    name: "negative KL",
    // The k1 estimate is noisy: a mean below 0 by more than noise means that π is not what was sampled from.
    isThere: (metrics) => at(metrics, "objective/kl") < -1,
    says: (metrics) =>
      `negative KL: ${show(at(metrics, "objective/kl"))} nats an answer; answers are not drawn from the policy that is ` +
      "scored: leave top-k, top-p, min-p and repetition penalty off",
  },
  {
    name: "ratio far from 1",
    isThere: (metrics) => Math.abs(at(metrics, "val/ratio") - 1) > 0.1,
    says: (metrics) =>
      `ratio far from 1: new/old probability is ${show(at(metrics, "val/ratio"))} on average; updates are too large: ` +
      "lower --learning-rate or --ppo-epochs",
  },
  {
    name: "collapsed entropy",
    isThere: (metrics, { firstEntropy }) =>
      firstEntropy !== null && at(metrics, "policy/entropy_avg") < firstEntropy / 4,
    says: (metrics, { firstEntropy }) =>
      `collapsed entropy: ${show(at(metrics, "policy/entropy_avg"))} nats a token, ${show(firstEntropy ?? 0)} at first; ` +
      "the policy says the same thing again and again: raise --kl-coefficient, or stop earlier",
  },
  {
    name: "KL over budget",
    isThere: (metrics, { klBudget }) => at(metrics, "objective/kl") > klBudget,
    says: (metrics, { klBudget }) =>
      `KL over budget: ${show(at(metrics, "objective/kl"))} nats an answer, the budget is ${klBudget}; the reward model ` +
      "is being exploited beyond what it was trained on: raise --kl-coefficient or set --kl-target",
  },
  {
    name: "answers that never end",
    isThere: (metrics, { answers }) => at(metrics, "val/num_eos_tokens") < answers / 2,
    says: (metrics, { answers }) =>
      `answers that never end: ${answers - at(metrics, "val/num_eos_tokens")} of ${answers} were cut; raise ` +
      "--max-new-tokens or --missing-end-penalty, and check that SFT taught the end token",
  },
];

/** Watches an iteration after another, and says each trouble when it appears, not again while it lasts. */
export class TroubleWatch {
  readonly #present = new Set<string>();
  #firstEntropy: number | null = null;

  /** What is newly wrong, each with its likely cause in one line. */
  look(metrics: Metrics, limits: Omit<TroubleLimits, "firstEntropy">): string[] {
    const all = { ...limits, firstEntropy: this.#firstEntropy };
    this.#firstEntropy ??= metrics["policy/entropy_avg"] ?? null;
    return troubles.flatMap(({ name, isThere, says }) => {
      const isNew = isThere(metrics, all) && !this.#present.has(name);
      if (isThere(metrics, all)) this.#present.add(name);
      else this.#present.delete(name);
      return isNew ? [says(metrics, all)] : [];
    });
  }
}
