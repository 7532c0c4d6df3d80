import { DataError } from "../core/errors.ts";
import { turnEventLoopWhenDue } from "../core/event-loop.ts";
import { documentHash } from "./split.ts";

/** Items to train on, and items held out. */
export interface HeldOut<Item> {
  readonly training: readonly Item[];
  readonly heldOut: readonly Item[];
}

/**
 * Holds out about `share` of some items. What falls where depends on `key` alone: an item stays on its side when others
 * come and go, and items with one key, such as answers to the same prompt, stay together.
 *
 * @throws {DataError} when nothing is left to train on.
 */
export async function holdOut<Item>(
  items: readonly Item[],
  share: number,
  key: (item: Item) => string,
): Promise<HeldOut<Item>> {
  const training: Item[] = [];
  const heldOut: Item[] = [];
  for (const item of items) {
    await turnEventLoopWhenDue();
    const isHeldOut = documentHash(0, key(item)) < share * 2 ** 32;
    (isHeldOut ? heldOut : training).push(item);
  }
  if (training.length === 0 && items.length > 0) {
    const all = items.length === 1 ? "the only row falls" : `all ${items.length} rows fall`;
    throw new DataError(
      `data: ${all} into the share of ${share} that is held out; lower --validation-share, or give ` +
        "more different rows",
    );
  }
  return { training, heldOut };
}
