import { deviation, mean } from "../core/mean.ts";
import { mostOf } from "../core/most-of.ts";
import type { GroupRollout } from "./grpo.ts";
import type { RewardFunction } from "./reward-functions/reward-function.ts";
import type { Metrics } from "./run.ts";

/** Numbers about the answers of an iteration, under the names that TRL gives them. */
export function grpoMetrics(
  rollouts: readonly GroupRollout[],
  functions: readonly Pick<RewardFunction, "name">[],
  groupDeviations: readonly number[],
): Metrics {
  const metrics: Metrics = {
    reward: mean(rollouts.map(({ reward }) => reward)),
    reward_std: mean(groupDeviations),
    frac_reward_zero_std: mean(groupDeviations.map((value) => (value < 1e-8 ? 1 : 0))),
  };
  for (const [f, { name }] of functions.entries()) {
    const own = rollouts.map(({ rewards }) => rewards[f] ?? 0);
    metrics[`rewards/${name}/mean`] = mean(own);
    metrics[`rewards/${name}/std`] = deviation(own);
  }
  const ended = rollouts.filter((rollout) => rollout.ended);
  Object.assign(metrics, lengths("", rollouts), lengths("terminated_", ended));
  metrics["completions/clipped_ratio"] = 1 - ended.length / rollouts.length;
  return metrics;
}

/** Mean, smallest and largest number of tokens; 0 where there is no answer. */
function lengths(which: string, rollouts: readonly GroupRollout[]): Metrics {
  const all = rollouts.length === 0 ? [0] : rollouts.map(({ answer }) => answer.length);
  return {
    [`completions/mean_${which}length`]: mean(all),
    [`completions/min_${which}length`]: all.reduce((least, length) => Math.min(least, length)),
    [`completions/max_${which}length`]: mostOf(all, (length) => length),
  };
}

/** Means of what several updates measured. */
export function meansOf(updates: readonly Metrics[]): Metrics {
  const names = [...new Set(updates.flatMap((update) => Object.keys(update)))];
  return Object.fromEntries(names.map((name) => [name, mean(updates.flatMap((update) => update[name] ?? []))]));
}
