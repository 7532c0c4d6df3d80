/** Which way a metric goes when a run goes well; null where neither is better by itself. */
export type Better = "lower" | "higher" | null;

/** What is known of a metric by its name in `metrics.jsonl`. */
export interface MetricEntry {
  /** As people say it. */
  readonly words: string;
  /** What it is counted in; "" for a plain number. `%` is a share of 1. */
  readonly unit: "" | "%" | "tokens" | "tokens/s" | "s" | "nats" | "bits";
  readonly better: Better;
  /** Heading of its chart. */
  readonly group: MetricGroup;
  /** Whether it tells how a run of any stage goes. */
  readonly isTelling: boolean;
  /** Whether it is drawn as it is, because a mean over steps would hide what it says. */
  readonly isRate: boolean;
}

/** Headings of charts, in their order. */
export const metricGroups = ["Loss", "Evaluation", "Reward", "Policy", "Value", "Learning", "Speed", "Other"] as const;
export type MetricGroup = (typeof metricGroups)[number];

type Row = readonly [
  name: string,
  words: string,
  unit: MetricEntry["unit"],
  better: Better,
  group: MetricGroup,
  kind?: "telling" | "rate",
];

/** The most telling first. */
const rows: readonly Row[] = [
  ["loss", "loss", "nats", "lower", "Loss", "telling"],
  ["eval_loss", "eval loss", "nats", "lower", "Evaluation", "telling"],
  ["objective/scores", "reward", "", "higher", "Reward", "telling"],
  ["objective/kl", "KL", "nats", "lower", "Reward", "telling"],
  ["reward", "reward", "", "higher", "Reward", "telling"],
  ["kl", "KL", "nats", "lower", "Reward", "telling"],
  ["rewards/accuracies", "accuracy", "%", "higher", "Reward", "telling"],
  ["rewards/margins", "margin", "", "higher", "Reward", "telling"],
  ["accuracy", "accuracy", "%", "higher", "Reward", "telling"],
  ["eval_rewards/accuracies", "eval accuracy", "%", "higher", "Evaluation", "telling"],
  ["eval_rewards/margins", "eval margin", "", "higher", "Evaluation", "telling"],
  ["eval_accuracy", "eval accuracy", "%", "higher", "Evaluation", "telling"],
  ["eval_pearson", "eval correlation", "", "higher", "Evaluation", "telling"],
  ["eval_spearman", "eval rank correlation", "", "higher", "Evaluation", "telling"],
  ["eval_mrr_10", "eval MRR", "", "higher", "Evaluation", "telling"],
  ["eval_recall_1", "eval recall at 1", "", "higher", "Evaluation", "telling"],
  ["eval_perplexity", "eval perplexity", "", "lower", "Evaluation"],
  ["eval_bits_per_character", "eval bits per character", "bits", "lower", "Evaluation"],
  ["eval_bits_per_byte", "eval bits per byte", "bits", "lower", "Evaluation"],
  ["objective/rlhf_reward", "reward less KL penalty", "", "higher", "Reward"],
  ["objective/non_score_reward", "KL penalty", "", null, "Reward"],
  ["objective/kl_coef", "KL coefficient", "", null, "Reward"],
  ["objective/entropy", "entropy of an answer", "nats", null, "Policy"],
  ["objective/answer_length", "length of an answer", "tokens", null, "Policy"],
  ["policy/entropy_avg", "entropy of a token", "nats", null, "Policy"],
  ["policy/approxkl_avg", "KL of an update", "nats", null, "Policy"],
  ["policy/clipfrac_avg", "clipped ratios", "%", null, "Policy"],
  ["policy/grad_norm", "policy gradient norm", "", null, "Policy"],
  ["loss/policy_avg", "policy loss", "", null, "Policy"],
  ["loss/pretrain", "pretraining loss", "nats", "lower", "Loss"],
  ["loss/value_avg", "value loss", "", "lower", "Value"],
  ["val/clipfrac_avg", "clipped values", "%", null, "Value"],
  ["val/num_eos_tokens", "answers that ended", "", null, "Policy"],
  ["val/ratio", "ratio to the sampling policy", "", null, "Policy"],
  ["val/ratio_var", "variance of that ratio", "", null, "Policy"],
  ["value/grad_norm", "value gradient norm", "", null, "Value"],
  ["grad_norm", "gradient norm", "", null, "Learning"],
  ["learning_rate", "learning rate", "", null, "Learning", "rate"],
  ["lr", "learning rate", "", null, "Learning", "rate"],
  ["tokens", "tokens of a step", "tokens", null, "Speed", "rate"],
  ["episode", "episodes", "", null, "Speed", "rate"],
  ["eps", "episodes a second", "", "higher", "Speed", "rate"],
  ["tokens_per_second", "tokens a second", "tokens/s", "higher", "Speed", "rate"],
  ["peak_share", "share of peak", "%", "higher", "Speed", "rate"],
];

const table: ReadonlyMap<string, MetricEntry> = new Map(
  rows.map(([name, words, unit, better, group, kind]) => [
    name,
    { words, unit, better, group, isTelling: kind === "telling", isRate: kind === "rate" },
  ]),
);

/** Names of the metrics that tell how a run of any stage goes, the most telling first. */
export const tellingMetrics: readonly string[] = rows.filter(([, , , , , kind]) => kind === "telling").map(([n]) => n);

/** What is known of a metric; one that is not in the table is placed by its prefix. */
export function metricEntry(name: string): MetricEntry {
  return table.get(name) ?? placed(name);
}

function placed(name: string): MetricEntry {
  const words = name.replaceAll(/[_/]/g, " ");
  const plain = { words, unit: "", better: null, isTelling: false, isRate: false } as const;
  if (name.startsWith("eval")) return { ...plain, group: "Evaluation" };
  if (name.startsWith("time/")) return { ...plain, unit: "s", group: "Speed", isRate: true };
  if (/^loss|loss$/.test(name)) return { ...plain, better: "lower", group: "Loss" };
  if (/^(rewards?|logps|logits|objective|kl)/.test(name)) return { ...plain, group: "Reward" };
  if (/^(policy|clip_ratio|entropy)/.test(name)) return { ...plain, group: "Policy" };
  if (/^val(ue)?\b/.test(name)) return { ...plain, group: "Value" };
  return { ...plain, group: "Other" };
}
