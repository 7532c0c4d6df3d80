import type { Agreement, RewardCheck } from "./reward-check.ts";
import { fewExamples, wilsonInterval } from "./task-metrics.ts";

/** A {@link RewardCheck} as lines to read. */
export function rewardCheckLines(check: RewardCheck): string[] {
  const { all, withoutAdjacent, byDistance, margins, calibration } = check;
  const most = Math.max(1, ...margins.map(({ pairs }) => pairs));
  return [
    `held-out accuracy   ${share(all)} of ${all.pairs} pairs from ${check.prompts} prompts`,
    `without adjacent    ${share(withoutAdjacent)} of ${withoutAdjacent.pairs} pairs`,
    ...byDistance.map((part) => `  ${ranks(part.distance)} apart     ${share(part)} of ${part.pairs}`),
    "margin of rewards, better − worse",
    ...margins.map(({ from, to, pairs }) => `  ${number(from)} … ${number(to)} ${bar(pairs / most)} ${pairs}`),
    `calibration         off by ${(100 * check.calibrationError).toFixed(1)} points on average`,
    ...calibration.map((bin) => `  ${percent(bin.confidence)} sure     right in ${share(bin)} of ${bin.pairs}`),
    `length              correlation of reward ${check.lengthCorrelation.toFixed(2)}, ` +
      `of the preferences ${check.preferredLengthCorrelation.toFixed(2)}`,
    verdict(check),
  ];
}

/** Pairs of one prompt are much alike, so how many prompts there are says how far the accuracy can be trusted. */
function verdict(check: RewardCheck): string {
  const { all, prompts } = check;
  const words = `verdict             ${judgement(check)}`;
  if (prompts >= fewExamples || prompts === 0) return words;
  const [low, high] = wilsonInterval(all.accuracy, prompts).map((bound) => (100 * bound).toFixed(0));
  return `${words}; but ${prompts} prompts are few: in truth ${low} to ${high}% may be right`;
}

function judgement({ all, lengthCorrelation, preferredLengthCorrelation }: RewardCheck): string {
  const bias = lengthCorrelation - preferredLengthCorrelation;
  if (all.pairs === 0) return "none: there are no pairs";
  if (!(all.accuracy > 0.5)) return "no better than chance: do not use it";
  if (Math.abs(bias) > 0.3) {
    return `it likes ${bias > 0 ? "long" : "short"} answers more than people do: PPO would find out`;
  }
  if (all.accuracy < 0.65) return "weak: more rankings, or longer training, would help";
  return "it agrees with the rankings it has not seen";
}

function share({ accuracy }: Agreement): string {
  return percent(accuracy);
}

function percent(value: number): string {
  return (Number.isFinite(value) ? `${(100 * value).toFixed(1)}%` : "–").padStart(6);
}

function ranks(distance: number): string {
  return `${distance} ${distance === 1 ? "rank " : "ranks"}`;
}

function number(value: number): string {
  return value.toPrecision(2).padStart(8);
}

function bar(part: number): string {
  return "█".repeat(Math.round(part * 30)).padEnd(30);
}
