import { groupBy } from "../core/group-by.ts";
import type { DrawReader } from "../core/random.ts";
import { Random } from "../core/random.ts";
import { epochOrder } from "./epochs.ts";
import type { PictureRow } from "./picture-rows.ts";

/** Tags that are put behind a text. */
const tagsBehind = 3;

/**
 * One of the things that may be said of a picture: mostly its text; sometimes another of its texts, or its text with
 * some of its tags behind it, where it has any.
 */
export function drawText({ text, texts, tags }: PictureRow, reader: DrawReader): string {
  const chance = reader.uniform();
  const others = texts.filter((other) => other !== text);
  if (chance < 0.15 && others.length > 0) return oneOf(others, reader);
  if (chance > 0.8 && tags.length > 0) return [text, ...drawTags(tags, reader)].join(" ");
  return text;
}

function drawTags(tags: readonly string[], reader: DrawReader): string[] {
  return Array.from({ length: tagsBehind }, () => oneOf(tags, reader));
}

function oneOf(items: readonly string[], reader: DrawReader): string {
  return items[reader.integer(items.length)] ?? "";
}

/** Rows that are learned from together, by their numbers. */
export interface ContrastiveChoice {
  /** Of pictures that are shown, no two of which have the same text. */
  readonly shown: readonly number[];
  /** Of rows whose texts alone are read. */
  readonly textsOnly: readonly number[];
}

/**
 * Which rows are learned from together, a function of the number of the batch: all texts once an epoch, in an order drawn
 * anew for each, with one of the pictures that have it drawn by chance. Two pictures of one text would be taken for each
 * other's opposites. Beside them, other texts drawn by chance.
 */
export function contrastiveBatches(
  rows: readonly PictureRow[],
  { batchSize, moreTexts, seed }: { readonly batchSize: number; readonly moreTexts: number; readonly seed: number },
): (index: number) => ContrastiveChoice {
  const groups = [...groupBy([...rows.keys()], (i) => rows[i]?.text ?? "").values()];
  const size = Math.min(batchSize, groups.length);
  const order = epochOrder(seed, groups.length);
  const random = new Random(seed);
  return (index) => {
    const reader = random.child(index).reader();
    const one = (group: number): number => {
      const own = groups[group] ?? [];
      return own[reader.integer(own.length)] ?? 0;
    };
    // Where one epoch ends within a batch, what comes again is left for the next.
    const chosen = new Set<number>();
    for (let i = 0; i < size; i++) chosen.add(order(index * size + i));
    const left = groups.length - chosen.size;
    const others = Array.from(groups.keys()).filter((group) => !chosen.has(group));
    const textsOnly = moreTexts >= left ? others : others.filter(() => reader.uniform() < moreTexts / left);
    return { shown: [...chosen].map(one), textsOnly: textsOnly.map(one) };
  };
}

/** Different texts among the rows. */
export function textCount(rows: readonly PictureRow[]): number {
  return new Set(rows.map(({ text }) => text)).size;
}
