import { forgetting } from "../tensor/forgetting.ts";
import { recordsTape } from "../tensor/op.ts";
import { tensorScope } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { ForwardOptions } from "./attention.ts";
import { parameters } from "./parameters.ts";

/**
 * x through one block after another, each with a generator of its own. What a block computes on the way is given back as
 * soon as it is done where no gradient will ask for it, in inference and in blocks that are frozen, or where it is to be
 * computed again (`options.recompute`).
 */
export function throughBlocks<Block extends object>(
  blocks: readonly Block[],
  x: Tensor,
  options: ForwardOptions,
  forward: (block: Block, x: Tensor, options: ForwardOptions) => Tensor,
): Tensor {
  return blocks.reduce((input, block) => {
    const run = (): Tensor => forward(block, input, { ...options, random: options.random?.split() ?? null });
    const computed = (): Tensor => (options.recompute ? forgetting(run) : run());
    const output = isDifferentiated(block, input) ? computed() : tensorScope(run);
    options.afterBlock?.(output);
    return output;
  }, x);
}

function isDifferentiated(block: object, input: Tensor): boolean {
  return (
    recordsTape() && (input.requiresGrad || [...parameters(block).values()].some(({ requiresGrad }) => requiresGrad))
  );
}
