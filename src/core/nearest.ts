/**
 * The candidate that a mistyped word probably stands for, or null when none is close: at most a third of its letters
 * (and always one) wrong, missing, extra or swapped with a neighbour. Words joined by hyphens are compared without the
 * parts that both begin or end with: `vocab-size` is no `block-size`.
 */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const [a, b] = withoutSharedParts(partsOf(word), partsOf(candidate));
    const distance = editDistance(a, b);
    if (distance > Math.max(1, Math.floor(a.length / 3)) || distance >= bestDistance) continue;
    [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Lower-cased words of a name in kebab-case, snake_case or camelCase. */
function partsOf(name: string): string[] {
  return name.split(/[-_]+|(?<=[a-z])(?=[A-Z])/).map((part) => part.toLowerCase());
}

function withoutSharedParts(a: string[], b: string[]): [string, string] {
  const shorter = Math.min(a.length, b.length);
  let start = 0;
  while (start < shorter && a[start] === b[start]) start++;
  let end = 0;
  while (end < shorter - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  return [a.slice(start, a.length - end).join("-"), b.slice(start, b.length - end).join("-")];
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
