import { Random } from "../core/random.ts";
import { recomputed } from "../tensor/recompute.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { ForwardOptions } from "./attention.ts";

/**
 * x through one block after another. Each block draws from a generator of its own, so that it drops the same elements
 * when it is computed again (`options.recompute`).
 */
export function throughBlocks<Block>(
  blocks: readonly Block[],
  x: Tensor,
  options: ForwardOptions,
  forward: (block: Block, x: Tensor, options: ForwardOptions) => Tensor,
): Tensor {
  return blocks.reduce((input, block) => {
    const state = options.random?.split().state();
    const run = (blockInput: Tensor): Tensor =>
      forward(block, blockInput, { ...options, random: state ? Random.restore(state) : null });
    return options.recompute ? recomputed(run, input) : run(input);
  }, x);
}
