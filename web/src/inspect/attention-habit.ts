import { percentText } from "../format.ts";

/** What a head mostly looks at, in a few words, by the weights of its queries but the first. */
export function habit(weights: readonly (readonly number[])[]): string {
  const queries = weights.slice(1);
  if (queries.length === 0) return "one token only";
  const mean = (of: (row: readonly number[], query: number) => number): number =>
    queries.reduce((sum, row, i) => sum + of(row, i + 1), 0) / queries.length;
  const places = [
    { words: "itself", share: mean((row, query) => row[query] ?? 0) },
    { words: "the token before", share: mean((row, query) => row[query - 1] ?? 0) },
    { words: "the first token", share: mean((row) => row[0] ?? 0) },
    { words: "the token behind", share: mean((row, query) => row[query + 1] ?? 0) },
  ].sort((a, b) => b.share - a.share);
  const [most] = places;
  return most !== undefined && most.share >= 0.3
    ? `${percentText(most.share)} at ${most.words}`
    : "spread over many tokens";
}
