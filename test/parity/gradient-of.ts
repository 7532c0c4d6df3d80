import type { TensorBinding } from "../../src/models/family.ts";
import { parameters } from "../../src/nn/parameters.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

/** The gradient of a tensor of a model's file, which may be a stretch of one parameter. */
export function gradientOf(model: object): (binding: TensorBinding) => Tensor | null {
  const all = [...parameters(model).values()];
  return ({ name, parameter }) => {
    const owner = all.find(({ storage }) => storage === parameter.storage);
    if (!owner) throw new Error(`${name} is not part of any parameter`);
    return owner.grad?.window(parameter.offset - owner.offset, parameter.shape) ?? null;
  };
}
