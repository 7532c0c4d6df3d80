/** The results of a function for all items in order, of which at most `count` are in work at a time. */
export async function mapConcurrently<Item, Result>(
  items: readonly Item[],
  count: number,
  of: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const out = new Array<Result>(items.length);
  let [next, isFailed] = [0, false];
  const work = async (): Promise<void> => {
    while (next < items.length && !isFailed) {
      const index = next++;
      try {
        out[index] = await of(items[index] as Item, index);
      } catch (error) {
        isFailed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, items.length) }, work));
  return out;
}
