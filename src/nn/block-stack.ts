import { Random } from "../core/random.ts";
import { recordsTape } from "../tensor/op.ts";
import { recomputed } from "../tensor/recompute.ts";
import { tensorScope } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { ForwardOptions } from "./attention.ts";
import { parameters } from "./parameters.ts";

/**
 * x through one block after another. Each block draws from a generator of its own, so that it drops the same elements
 * when it is computed again (`options.recompute`). What a block computes on the way is given back as soon as it is done
 * where no gradient will ask for it: in inference, and in blocks that are frozen.
 */
export function throughBlocks<Block extends object>(
  blocks: readonly Block[],
  x: Tensor,
  options: ForwardOptions,
  forward: (block: Block, x: Tensor, options: ForwardOptions) => Tensor,
): Tensor {
  return blocks.reduce((input, block) => {
    const state = options.random?.split().state();
    const run = (blockInput: Tensor): Tensor =>
      forward(block, blockInput, { ...options, random: state ? Random.restore(state) : null });
    if (!isDifferentiated(block, input)) return tensorScope(() => run(input));
    return options.recompute ? recomputed(run, input) : run(input);
  }, x);
}

function isDifferentiated(block: object, input: Tensor): boolean {
  return (
    recordsTape() && (input.requiresGrad || [...parameters(block).values()].some(({ requiresGrad }) => requiresGrad))
  );
}
