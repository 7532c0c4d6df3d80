import type { RecurrentModel } from "../models/language-model.ts";
import type { LstmState } from "../nn/lstm-layer.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** What a recurrent model knew at the end of the last step, for each micro-batch: where the next step goes on. */
export class CarriedState {
  readonly #parts: readonly (readonly LstmState[])[];

  /** States of `parts` micro-batches of `batch` rows, before anything is read. */
  constructor(model: RecurrentModel, parts: number, batch: number) {
    this.#parts = Array.from({ length: parts }, () => model.newState(batch));
    for (const tensor of this.tensors().values()) tensor.keep();
  }

  /** Copies, that stay what they are while the next state is put in their place. */
  before(part: number): readonly LstmState[] {
    return this.#of(part).map(({ hidden, cells }) => ({ hidden: hidden.copy(), cells: cells.copy() }));
  }

  /** Puts the state after a step in the place of the one before. */
  replace(part: number, after: readonly LstmState[]): void {
    const put = (from: Tensor, to: Tensor): void => from.backend.kernels.affine(from, 1, 0, to);
    for (const [layer, { hidden, cells }] of this.#of(part).entries()) {
      const state = after[layer];
      if (!state) throw new Error(`internal: there is no state of layer ${layer}`);
      put(state.hidden, hidden);
      put(state.cells, cells);
    }
  }

  /** All tensors by name, for a checkpoint. */
  tensors(): ReadonlyMap<string, Tensor> {
    const named = this.#parts.flatMap((states, part) =>
      states.flatMap(({ hidden, cells }, layer): [string, Tensor][] => {
        const name = `carried.${part}.${layer}`;
        return [
          [`${name}.hidden`, hidden],
          [`${name}.cells`, cells],
        ];
      }),
    );
    return new Map(named);
  }

  #of(part: number): readonly LstmState[] {
    const states = this.#parts[part];
    if (!states) throw new Error(`internal: there is no micro-batch ${part}`);
    return states;
  }
}
