import { documentHash } from "./split.ts";

/** Items to train on, and items held out. */
export interface HeldOut<Item> {
  readonly training: Item[];
  readonly heldOut: Item[];
}

/**
 * Holds out about `share` of some items. What falls where depends on `key` alone: an item stays on its side when others
 * come and go, and items with one key, such as answers to the same prompt, stay together.
 */
export function holdOut<Item>(items: readonly Item[], share: number, key: (item: Item) => string): HeldOut<Item> {
  const isHeldOut = (item: Item): boolean => documentHash(0, key(item)) < share * 2 ** 32;
  return { training: items.filter((item) => !isHeldOut(item)), heldOut: items.filter(isHeldOut) };
}
