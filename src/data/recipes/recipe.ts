import type { DrawReader } from "../../core/random.ts";
import { Random } from "../../core/random.ts";
import { documentHash } from "../split.ts";
import type { TaskKind } from "../task-examples.ts";

/** Rows of a task, made of real texts. */
export interface RecipeRows {
  readonly train: readonly object[];
  /** Share no text with those to train on. */
  readonly test: readonly object[];
}

/** How a task is made of data that a package holds. */
export interface Recipe {
  readonly name: string;
  /** One line, with where the data come from. */
  readonly summary: string;
  /** What to fine-tune for; null is none of these. */
  readonly task: TaskKind | null;
  /** The stage that learns from it, where it is of no task; default: `pretrain`. */
  readonly stage?: "seq2seq";
  /** Labels are numbers. */
  readonly isScore?: boolean;
  /** @throws {DataError} when the package is not installed. */
  make(): RecipeRows;
}

/** Whether a text is among the tenth to test on; depends on the text alone. */
function isForTest(text: string): boolean {
  return documentHash(1, text) < 0.1 * 2 ** 32;
}

/** A random order that is always the same. */
export function shuffled<Item>(items: readonly Item[], seed: number): Item[] {
  return Array.from(new Random(seed).permutation(items.length), (i) => items[i] as Item);
}

/** A reader of random numbers that are always the same. */
export function readerOf(seed: number): DrawReader {
  return new Random(seed).reader();
}

/** One of some items. */
export function oneOf<Item>(items: readonly Item[], reader: DrawReader): Item {
  return items[reader.integer(items.length)] as Item;
}

/** A question with its right answer and three others, all different, in a random order. */
export function choiceRow(
  context: string,
  right: string,
  drawOther: () => string,
  reader: DrawReader,
): { context: string; choices: string[]; answer: number } {
  const wrong = new Set<string>();
  while (wrong.size < 3) {
    const other = drawOther();
    if (other !== right) wrong.add(other);
  }
  const answer = reader.integer(4);
  return { context, choices: [...wrong].toSpliced(answer, 0, right), answer };
}

/** Divides items by their text; of each part the first `most`. */
export function divide<Item>(
  items: readonly Item[],
  textOf: (item: Item) => string,
  most: { readonly train: number; readonly test: number },
): { train: Item[]; test: Item[] } {
  const parts = { train: [] as Item[], test: [] as Item[] };
  for (const item of items) {
    if (parts.train.length >= most.train && parts.test.length >= most.test) break;
    const part = isForTest(textOf(item)) ? "test" : "train";
    if (parts[part].length < most[part]) parts[part].push(item);
  }
  return parts;
}
