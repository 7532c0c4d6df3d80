import { deviation, mean } from "../core/mean.ts";
import type { Rollout } from "./ppo-rewards.ts";
import type { Metrics } from "./run.ts";

/** Numbers about the answers of an iteration, under the names that TRL gives them. */
export type RolloutMetrics = Record<
  | "objective/kl"
  | "objective/entropy"
  | "objective/non_score_reward"
  | "objective/rlhf_reward"
  | "objective/scores"
  | "objective/kl_coef"
  | "objective/answer_length"
  | "val/num_eos_tokens",
  number
>;

/** Means over the answers of an iteration; sums over tokens, in nats, where they are of log-probabilities. */
export function rolloutMetrics(rollouts: readonly Rollout[], klCoefficient: number): RolloutMetrics {
  const mean = (of: (rollout: Rollout) => number): number =>
    rollouts.reduce((sum, rollout) => sum + of(rollout), 0) / rollouts.length;
  const sum = (values: Float32Array): number => values.reduce((a, b) => a + b, 0);
  const kl = mean((rollout) => sum(rollout.kl));
  const scores = mean(({ shapedScore }) => shapedScore);
  return {
    "objective/kl": kl,
    "objective/entropy": mean(({ logProbs }) => -sum(logProbs)),
    "objective/non_score_reward": -klCoefficient * kl,
    "objective/rlhf_reward": scores - klCoefficient * kl,
    "objective/scores": scores,
    "objective/kl_coef": klCoefficient,
    "objective/answer_length": mean(({ answer }) => answer.length),
    "val/num_eos_tokens": rollouts.filter(({ ended }) => ended).length,
  };
}

/** Metrics of the updates that are averaged over an iteration. */
const averaged = [
  "policy/approxkl_avg",
  "policy/clipfrac_avg",
  "loss/policy_avg",
  "loss/value_avg",
  "val/clipfrac_avg",
  "policy/entropy_avg",
  "val/ratio",
  "loss/pretrain",
  "policy/grad_norm",
  "value/grad_norm",
] as const;

/** Metrics of the updates of one iteration. */
export class PpoTally {
  readonly #updates: Metrics[] = [];

  /** Takes the metrics of one update. */
  add(metrics: Metrics): void {
    this.#updates.push(metrics);
  }

  /** Their means over all updates, and the variance of the ratio. */
  means(): Metrics {
    const known = averaged.filter((name) => this.#updates.some((update) => update[name] !== undefined));
    const means = Object.fromEntries(known.map((name) => [name, mean(this.#valuesOf(name))]));
    const ratios = this.#valuesOf("val/ratio");
    return { ...means, "val/ratio_var": deviation(ratios) ** 2 };
  }

  #valuesOf(name: string): number[] {
    return this.#updates.flatMap((update) => update[name] ?? []);
  }
}
