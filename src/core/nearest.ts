/**
 * The candidate that a mistyped word probably stands for, or null when none is close: at most a third of its letters
 * (and always one) wrong, missing, extra or swapped with a neighbour.
 */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** `; did you mean X?` for the nearest candidate, or one that begins as the word does up to a hyphen, or `otherwise`, to end a message with. */
export function suggestion(word: string, candidates: Iterable<string>, otherwise: string): string {
  const all = [...candidates];
  const near = nearest(word, all) ?? all.find((candidate) => startsWithPart(word, candidate)) ?? null;
  return near === null ? otherwise : `; did you mean ${near}?`;
}

/** `--reward-model` goes on where `--reward` ends, and the other way round. */
function startsWithPart(word: string, candidate: string): boolean {
  return (
    candidate.length > 3 && word.length > 3 && (word.startsWith(`${candidate}-`) || candidate.startsWith(`${word}-`))
  );
}

/** Insertions, deletions, substitutions and swaps of neighbours between two words (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let [beforePrevious, previous] = [[] as number[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (row: readonly number[], j: number): number => row[j] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = at(previous, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = isSwap ? at(beforePrevious, j - 2) + 1 : Number.POSITIVE_INFINITY;
      row.push(Math.min(substitution, swap, at(previous, j) + 1, at(row, j - 1) + 1));
    }
    [beforePrevious, previous] = [previous, row];
  }
  return at(previous, b.length);
}
