import type { BadRowChoice, BadRows } from "../data/bad-rows.ts";
import type { Fitting, FittingOptions } from "../data/encoded-rankings.ts";
import type { HeldOut } from "../data/hold-out.ts";
import type { HeldOutSettings } from "./held-out.ts";
import { readHeldOut } from "./held-out.ts";
import { longestContext, noteLongRows, readNotingBad, resolveContext } from "./row-settings.ts";
import type { StageEnvironment } from "./stage.ts";

/** Rows of files in token ids, and how many there were. */
export interface ReadItems<Item> extends Fitting<Item> {
  readonly total: number;
}

/** Rows that cannot be cut, as a stage reads them. */
export interface RowReader<Item> {
  /** What the rows are, as in `pairs`. */
  readonly noun: string;
  /** Most tokens that the model reads. */
  readonly most: number;
  read(paths: readonly string[], options: FittingOptions & { readonly bad: BadRows }): Promise<ReadItems<Item>>;
}

/** What is done with rows that cannot be used, or are too long. */
interface RowChoice {
  readonly badRows: BadRowChoice;
  readonly context: number | null;
  readonly longRows: FittingOptions["longRows"];
}

/** Rows that fit. */
export interface FittingRows<Item> extends Pick<Fitting<Item>, "items" | "longest"> {
  /** The context that they take. */
  readonly context: number;
}

/**
 * Reads rows that have to fit into the context of a run, and says what was left out of them.
 *
 * @throws {DataError} naming the row that cannot be used or is too long, where that is an error.
 * @throws {SettingsError} when the context is longer than what the model reads.
 */
export async function readFittingRows<Item>(
  paths: readonly string[],
  choice: RowChoice,
  { noun, most, read }: RowReader<Item>,
  { note, signal }: Pick<StageEnvironment, "note" | "signal">,
): Promise<FittingRows<Item>> {
  const { longRows } = choice;
  const limit = longestContext(choice.context, most);
  const { items, longest } = await readNotingBad(choice, { note, signal }, async (bad) => {
    const found = await read(paths, { longRows, context: limit, bad });
    noteLongRows(note, { ...found, noun, context: limit, model: most });
    return found;
  });
  return { items, longest, context: resolveContext(choice.context, [longest], most) };
}

/** {@link readFittingRows} of what a run learns from and what it is measured by, as {@link readHeldOut} tells them apart. */
export async function readHeldOutFittingRows<Item>(
  settings: RowChoice & HeldOutSettings,
  reader: RowReader<Item>,
  key: (item: Item) => string,
  environment: StageEnvironment,
): Promise<HeldOut<Item> & Pick<FittingRows<Item>, "context">> {
  let context = 0;
  const read = async (paths: readonly string[]): Promise<readonly Item[]> => {
    const rows = await readFittingRows(paths, settings, reader, environment);
    context = Math.max(context, rows.context);
    return rows.items;
  };
  return { ...(await readHeldOut(settings, read, key)), context };
}
