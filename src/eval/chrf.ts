/** Longest stretch of characters that is compared, and how much more what is missing counts than what is too much. */
const [longest, beta] = [6, 2];

/**
 * chrF2 of texts against one reference each, from 0 to 100: how many stretches of one to six characters, without white
 * space, the two have in common, over all texts together. As sacreBLEU defines it.
 *
 * @see Popović (2015), "chrF: character n-gram F-score for automatic MT evaluation"; Post (2018), arXiv:1804.08771.
 */
export function chrF(texts: readonly string[], references: readonly string[]): number {
  const sums = Array.from({ length: longest }, () => ({ text: 0, reference: 0, both: 0 }));
  for (const [i, text] of texts.entries()) {
    const [own, other] = [charactersOf(text), charactersOf(references[i] ?? "")];
    for (const [order, sum] of sums.entries()) {
      const [ours, theirs] = [counts(own, order + 1), counts(other, order + 1)];
      sum.text += Math.max(own.length - order, 0);
      sum.reference += Math.max(other.length - order, 0);
      for (const [stretch, count] of ours) sum.both += Math.min(count, theirs.get(stretch) ?? 0);
    }
  }
  const counted = sums.filter(({ text, reference }) => text > 0 && reference > 0);
  const mean = (share: (sum: (typeof sums)[number]) => number): number =>
    counted.reduce((total, sum) => total + share(sum), 0) / Math.max(counted.length, 1);
  const precision = mean(({ both, text }) => both / text);
  const recall = mean(({ both, reference }) => both / reference);
  if (precision + recall === 0) return 0;
  return (100 * (1 + beta ** 2) * precision * recall) / (beta ** 2 * precision + recall);
}

function charactersOf(text: string): string[] {
  return [...text.replace(/\s+/gu, "")];
}

function counts(characters: readonly string[], order: number): Map<string, number> {
  const found = new Map<string, number>();
  for (let start = 0; start + order <= characters.length; start++) {
    const stretch = characters.slice(start, start + order).join("");
    found.set(stretch, (found.get(stretch) ?? 0) + 1);
  }
  return found;
}
