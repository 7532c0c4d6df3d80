import type { TensorSource } from "../checkpoint/tensor-source.ts";
import { CheckpointError } from "../core/errors.ts";
import { ownWeights } from "./telling-keys.ts";

/** Endings of names under which programs pack matrices, as `quantization_config` says in files that have one. */
const packings: readonly (readonly [RegExp, string])[] = [
  [/\.(qweight|qzeros|g_idx)$/, "GPTQ or AWQ"],
  [/\.SCB$|\.weight\.(absmax|quant_map|quant_state\..+)$/, "bitsandbytes"],
  [/\.weight_(packed|scale|scale_inv|zero_point)$/, "8-bit floats or packed integers"],
];

/**
 * Makes sure that a file holds its matrices as numbers, and not in the way of a program that packs them.
 *
 * @throws {CheckpointError} naming the first tensor that is part of such a packing.
 */
export function refuseQuantizedWeights(source: Pick<TensorSource, "name" | "names">): void {
  for (const name of source.names()) {
    const [, kind] = packings.find(([ending]) => ending.test(name)) ?? [];
    if (kind === undefined) continue;
    throw new CheckpointError(
      `${source.name}: ${name} is of weights packed as ${kind}, which is not supported; ${ownWeights}`,
    );
  }
}
