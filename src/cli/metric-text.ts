import type { Metrics } from "../train/run.ts";

/** The few metrics that stand beside a progress bar, in words. */
export function progressFacts(metrics: Metrics): string[] {
  const shown = ["loss", "eval_loss", "tokens_per_second", "peak_share"];
  return shown.flatMap((name) => {
    const value = metrics[name];
    return value === undefined ? [] : [formatMetric(name, value)];
  });
}

/** One metric as a person reads it: `loss 1.832`, `5,210 tokens/s`, `63% of peak`. */
export function formatMetric(name: string, value: number): string {
  if (name === "tokens_per_second") return `${formatCount(value)} tokens/s`;
  if (name === "peak_share") return `${Math.round(value * 100)}% of peak`;
  return `${name.replaceAll("_", " ")} ${formatNumber(value)}`;
}

/** Whole, with commas between thousands. */
function formatCount(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** Four digits that matter; very small and very large ones with an exponent. */
function formatNumber(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  return size >= 1000 ? value.toFixed(0) : value.toPrecision(4);
}

/** A result in a column of 9 characters: four decimals, or an exponent where it is too large for them. */
export function formatResult(value: number): string {
  return Math.abs(value) < 9999.5 ? value.toFixed(4) : value.toExponential(2);
}
