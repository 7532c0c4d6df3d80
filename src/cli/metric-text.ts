import { metricEntry, tellingMetrics } from "../train/metric-table.ts";
import type { Metrics } from "../train/run.ts";
import { printable } from "./printable.ts";

/** Metrics of a finished run that are worth a word at its end, beside the telling ones. */
const final = ["eval_perplexity", "eval_bits_per_character"];

/** The few metrics that stand beside a progress bar, in words. */
export function progressFacts(metrics: Metrics): string[] {
  return factsOf(metrics, [...tellingMetrics, "tokens_per_second", "peak_share"]);
}

/** Names of the metrics that tell how a run went, as far as it has them, the most telling first. */
export function tellingNames(metrics: Metrics): string[] {
  return tellingMetrics.filter((name) => metrics[name] !== undefined);
}

/** The metrics that tell how a run went, in words. */
export function tellingFacts(metrics: Metrics): string[] {
  return factsOf(metrics, tellingMetrics);
}

/** A metric's name as people say it: `KL`, `eval loss`. A record may name one anything: marks that are obeyed are shown. */
export function metricWords(name: string): string {
  return printable(metricEntry(name).words);
}

/** What a run came to, in words. */
export function resultFacts(metrics: Metrics): string[] {
  return factsOf(metrics, [...tellingMetrics, ...final]);
}

function factsOf(metrics: Metrics, names: readonly string[]): string[] {
  return names.flatMap((name) => {
    const value = metrics[name];
    return value === undefined ? [] : [formatMetric(name, value)];
  });
}

/** One metric as a person reads it: `loss 1.832`, `accuracy 62.5%`, `5,210 tokens/s`, `63% of peak`. */
export function formatMetric(name: string, value: number): string {
  if (name === "tokens_per_second") return `${formatCount(value)} tokens/s`;
  if (name === "peak_share") return `${Math.round(value * 100)}% of peak`;
  return `${metricWords(name)} ${formatValue(name, value)}`;
}

/** A metric's value alone, as a person reads it: `1.832`, `62.5%`. */
export function formatValue(name: string, value: number): string {
  return metricEntry(name).unit === "%" ? `${(100 * value).toFixed(1)}%` : formatNumber(value);
}

/** Whole, with commas between thousands. */
function formatCount(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** Four digits that matter; very small and very large ones with an exponent. */
export function formatNumber(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  return size >= 1000 ? value.toFixed(0) : value.toPrecision(4);
}

/** A result in a column of 9 characters: four decimals, or an exponent where it is too large for them. */
export function formatResult(value: number): string {
  return Math.abs(value) < 9999.5 ? value.toFixed(4) : value.toExponential(2);
}
