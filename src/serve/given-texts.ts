import { z } from "zod";

const Ids = z.array(z.int().min(0)).min(1);

/** A field of up to `most` texts, each as a text or as token ids; one alone needs no list around it. */
export function givenTexts(most: number) {
  // Ids before texts: whatever is tried before the right form makes an issue of each of its entries.
  return z.union([z.string(), Ids, z.array(z.string()).min(1).max(most), z.array(Ids).min(1).max(most)], {
    error: `must be a text, a list of 1 to ${most} texts, a list of token ids, or a list of 1 to ${most} such lists`,
  });
}
/** What such a field holds. */
export type GivenTexts = z.output<ReturnType<typeof givenTexts>>;

/** Each of the texts, with the place to name where it is wrong: `input`, or `input[2]` of several. */
export function eachText(
  given: GivenTexts,
  field: string,
): { readonly text: string | readonly number[]; readonly param: string }[] {
  const texts = typeof given === "string" || typeof given[0] === "number" ? [given as string | number[]] : given;
  return texts.map((text, i) => ({
    text: text as string | readonly number[],
    param: texts.length > 1 ? `${field}[${i}]` : field,
  }));
}
