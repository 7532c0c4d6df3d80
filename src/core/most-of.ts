/** The largest of the numbers that items have, 0 where there are none. Any number of items, where arguments of a call are few. */
export function mostOf<Item>(items: Iterable<Item>, numberOf: (item: Item) => number): number {
  let most = 0;
  for (const item of items) most = Math.max(most, numberOf(item));
  return most;
}
