import { epochOrder } from "../data/epochs.ts";
import type { MicroBatch } from "./run.ts";

/** How a run goes over its items. */
export interface EpochSettings {
  /** Items in a micro-batch. */
  readonly batchSize: number;
  /** Micro-batches in a step. */
  readonly accumulation: number;
  readonly seed: number;
}

/**
 * Micro-batches of a step as a function of its number: all items once an epoch, in an order drawn anew for each. Every
 * micro-batch has as many items as the others, and weighs as much.
 *
 * @param read - Makes a batch of some items, and counts its tokens.
 */
export function epochBatches<Item, Batch>(
  items: readonly Item[],
  { batchSize, accumulation, seed }: EpochSettings,
  read: (chosen: Item[]) => Omit<MicroBatch<Batch>, "share">,
): (step: number) => MicroBatch<Batch>[] {
  const order = epochOrder(seed, items.length);
  return (step) =>
    Array.from({ length: accumulation }, (_, micro) => {
      const first = (step * accumulation + micro) * batchSize;
      const chosen = Array.from({ length: batchSize }, (_row, i) => items[order(first + i)] as Item);
      return { ...read(chosen), share: 1 / accumulation };
    });
}

/** Updates in a run: as many as are asked for, or as the passes over its items take. */
export function epochSteps(
  items: number,
  { steps, epochs, batchSize, accumulation }: Omit<EpochSettings, "seed"> & { steps: number | null; epochs: number },
): number {
  return steps ?? Math.ceil((epochs * items) / (batchSize * accumulation));
}
