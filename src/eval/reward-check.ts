import { centred } from "./task-metrics.ts";

/** The answers to one prompt, as people ranked and a reward model scored them. Lists are parallel. */
export interface ScoredRanking {
  /** 1 is best; equal ranks are ties. */
  readonly ranks: readonly number[];
  readonly scores: readonly number[];
  /** Tokens of each answer. */
  readonly lengths: readonly number[];
}

/** How often the model agrees, on some of the pairs. */
export interface Agreement {
  readonly pairs: number;
  /** Share in the right order; NaN without pairs. */
  readonly accuracy: number;
}

/** Some pairs whose difference of rewards lies in one interval. */
export interface MarginBin {
  readonly from: number;
  readonly to: number;
  readonly pairs: number;
}

/** Pairs about which the model is equally sure. */
export interface CalibrationBin extends Agreement {
  /** Mean of σ(|difference of rewards|): how often it should be right. */
  readonly confidence: number;
}

/** Whether a reward model is any good, in numbers. */
export interface RewardCheck {
  readonly prompts: number;
  readonly all: Agreement;
  /** Pairs that are more than one rank apart: the clear cases. */
  readonly withoutAdjacent: Agreement;
  /** By how many ranks lie between the two. */
  readonly byDistance: readonly (Agreement & { readonly distance: number })[];
  /** Of reward(better) − reward(worse): what is right of 0 is right. */
  readonly margins: readonly MarginBin[];
  readonly calibration: readonly CalibrationBin[];
  /** Mean of |confidence − accuracy| over pairs: 0 is perfect. */
  readonly calibrationError: number;
  /** Correlation of reward with length among answers to the same prompt: far from 0, it likes long or short ones. */
  readonly lengthCorrelation: number;
  /** The same of people's ranks: what the length correlation would be if the model were right. */
  readonly preferredLengthCorrelation: number;
}

interface Pair {
  readonly distance: number;
  readonly margin: number;
}

/** Compares a reward model's scores with people's rankings. */
export function checkRewards(rankings: readonly ScoredRanking[]): RewardCheck {
  const pairs = rankings.flatMap(pairsOf);
  const distances = [...new Set(pairs.map(({ distance }) => distance))].sort((a, b) => a - b);
  const calibration = calibrationOf(pairs);
  const error = calibration.reduce((sum, bin) => sum + bin.pairs * Math.abs(bin.confidence - bin.accuracy), 0);
  return {
    prompts: rankings.length,
    all: agreement(pairs),
    withoutAdjacent: agreement(pairs.filter(({ distance }) => distance > 1)),
    byDistance: distances.map((distance) => ({
      distance,
      ...agreement(pairs.filter((pair) => pair.distance === distance)),
    })),
    margins: histogram(pairs.map(({ margin }) => margin)),
    calibration,
    calibrationError: error / Math.max(pairs.length, 1),
    lengthCorrelation: withinPrompts(rankings, ({ scores }) => scores),
    preferredLengthCorrelation: withinPrompts(rankings, ({ ranks }) => ranks.map((rank) => -rank)),
  };
}

function pairsOf({ ranks, scores }: ScoredRanking): Pair[] {
  return ranks.flatMap((rank, i) =>
    ranks.flatMap((other, j) =>
      rank < other ? [{ distance: other - rank, margin: (scores[i] ?? 0) - (scores[j] ?? 0) }] : [],
    ),
  );
}

function agreement(pairs: readonly Pair[]): Agreement {
  return { pairs: pairs.length, accuracy: pairs.filter(({ margin }) => margin > 0).length / pairs.length };
}

/** Ten intervals, symmetric around 0, as wide as the largest margin needs. */
function histogram(margins: readonly number[]): MarginBin[] {
  const largest = margins.reduce((most, margin) => Math.max(most, Math.abs(margin)), 0);
  const width = roundUp((largest || 1) / 5);
  return Array.from({ length: 10 }, (_, i) => {
    const [from, to] = [(i - 5) * width, (i - 4) * width];
    const isLast = i === 9;
    const inside = margins.filter((margin) => margin >= from && (margin < to || (isLast && margin <= to)));
    return { from, to, pairs: inside.length };
  });
}

/** To 1, 2 or 5 times a power of ten. */
function roundUp(x: number): number {
  const power = 10 ** Math.floor(Math.log10(x));
  return power * ([1, 2, 5].find((step) => step * power >= x) ?? 10);
}

/** Five intervals of confidence from a half to one; those without pairs are left out. */
function calibrationOf(pairs: readonly Pair[]): CalibrationBin[] {
  const confidenceOf = ({ margin }: Pair): number => 1 / (1 + Math.exp(-Math.abs(margin)));
  return Array.from({ length: 5 }, (_, i) =>
    pairs.filter((pair) => Math.min(4, Math.floor((confidenceOf(pair) - 0.5) * 10)) === i),
  ).flatMap((inside) => {
    if (inside.length === 0) return [];
    const confidence = inside.reduce((sum, pair) => sum + confidenceOf(pair), 0) / inside.length;
    return [{ confidence, ...agreement(inside) }];
  });
}

/** Pearson's correlation of a number with length, both counted from their means among the answers to a prompt. */
function withinPrompts(rankings: readonly ScoredRanking[], of: (ranking: ScoredRanking) => readonly number[]): number {
  const sums = { xx: 0, xy: 0, yy: 0 };
  for (const ranking of rankings) {
    const [x, y] = [centred(of(ranking)), centred(ranking.lengths)];
    x.forEach((value, i) => {
      sums.xx += value * value;
      sums.xy += value * (y[i] ?? 0);
      sums.yy += (y[i] ?? 0) ** 2;
    });
  }
  return sums.xy / Math.sqrt(sums.xx * sums.yy || 1);
}
