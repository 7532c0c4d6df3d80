import { Random } from "../../core/random.ts";
import type { Verse } from "../../data/recipes/verses.ts";

/** A request for a verse, and the verse, or the rest of it, that answers. */
export interface VerseRequest {
  readonly prompt: string;
  readonly completion: string;
}

/** Words of a verse that is asked for, at least and at most: answers of a size that is quick to learn from. */
const [shortest, longest] = [6, 22];
/** Verses in which a theme comes, at least and at most. */
const [rarest, commonest] = [15, 1500];
/** Words of an opening. */
const openingWords = 4;

/** Words that say little about what a verse is about. */
const empty = new Set(
  (
    "also before behold came come even forth from have hath into made make many more said saith shall should shalt " +
    "their them then there therefore these they thing things this thou thus thee thine unto upon went were when " +
    "where which while whom whose will with would your among after against because every neither being between both " +
    "could done down gave give given hast having here like might most much must none only other over same some such " +
    "than that those through took under until very what without yea about again away brought called cause cometh did " +
    "doth ever know known according another themselves himself myself ourselves together whosoever whatsoever"
  ).split(" "),
);

/**
 * A request for each verse of a fitting length: half ask for a verse on a theme, a word of the verse, half to go on from
 * its opening. The same seed gives the same requests.
 */
export function verseRequests(verses: readonly Verse[], seed: number): VerseRequest[] {
  const fitting = verses.filter(({ text }) => {
    const count = text.split(" ").length;
    return count >= shortest && count <= longest;
  });
  const counts = new Map<string, number>();
  for (const { text } of fitting)
    for (const word of new Set(themesIn(text))) counts.set(word, (counts.get(word) ?? 0) + 1);
  const reader = new Random(seed).reader();
  return fitting.flatMap(({ text }) => {
    const themes = themesIn(text).filter((word) => {
      const count = counts.get(word) ?? 0;
      return count >= rarest && count <= commonest;
    });
    const theme = themes[reader.integer(Math.max(themes.length, 1))];
    const asksForTheme = reader.integer(2) === 0;
    if (asksForTheme && theme !== undefined) return [{ prompt: themePrompt(theme), completion: text }];
    const words = text.split(" ");
    const opening = words.slice(0, openingWords).join(" ");
    return [{ prompt: openingPrompt(opening), completion: words.slice(openingWords).join(" ") }];
  });
}

/** Asks for a verse on a theme. */
export function themePrompt(theme: string): string {
  return `A verse about ${theme}.`;
}

/** Asks for the rest of the verse that begins so. */
export function openingPrompt(opening: string): string {
  return `Go on: ${opening}`;
}

/**
 * Whether an answer has the shape that was asked for: it ended by itself, is one verse of a reasonable length, or the
 * rest of one where the request gave its opening, begins like it and ends with a mark.
 */
export function isWellFormed(prompt: string, answer: string, ended: boolean): boolean {
  const words = answer.split(" ").length;
  const [pattern, fewest] = isOpening(prompt) ? [restOfVerse, shortest - openingWords] : [wholeVerse, 4];
  return ended && words >= fewest && words <= 60 && pattern.test(answer);
}

/** Within a verse, no line ends and no mark of the chat's format is left over. */
const wholeVerse = /^\(?[A-Z][^\n<>|]*[.:;,?!)]$/;
const restOfVerse = /^\(?[A-Za-z][^\n<>|]*[.:;,?!)]$/;

function isOpening(prompt: string): boolean {
  return prompt.startsWith(openingPrompt(""));
}

function themesIn(text: string): string[] {
  return (text.match(/(?<= )[a-z]{4,}/g) ?? []).filter((word) => !empty.has(word));
}
