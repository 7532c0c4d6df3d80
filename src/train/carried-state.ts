import type { RecurrentModel } from "../models/language-model.ts";
import type { LstmState } from "../nn/lstm-layer.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** What a recurrent model knew at the end of the last step, for each micro-batch: where the next step goes on. */
export class CarriedState {
  readonly #parts: readonly (readonly LstmState[])[];
  /** What the parts were before the newest step, which may yet be given up. */
  readonly #earlier: readonly (readonly LstmState[])[];
  /** Parts of the newest step that were replaced so far. */
  readonly #replaced = new Set<number>();

  /** States of `parts` micro-batches of `batch` rows, before anything is read. */
  constructor(model: RecurrentModel, parts: number, batch: number) {
    const newParts = (): (readonly LstmState[])[] => Array.from({ length: parts }, () => model.newState(batch));
    this.#parts = newParts();
    this.#earlier = newParts();
    for (const { hidden, cells } of [...this.#parts, ...this.#earlier].flat()) {
      hidden.keep();
      cells.keep();
    }
  }

  /** Copies, that stay what they are while the next state is put in their place. */
  before(part: number): readonly LstmState[] {
    return statesOf(this.#parts, part).map(({ hidden, cells }) => ({ hidden: hidden.copy(), cells: cells.copy() }));
  }

  /** Puts the state after a step in the place of the one before. A step's parts come in their order, from 0 on. */
  replace(part: number, after: readonly LstmState[]): void {
    if (part === 0) this.#replaced.clear();
    const now = statesOf(this.#parts, part);
    put(now, statesOf(this.#earlier, part));
    put(after, now);
    this.#replaced.add(part);
  }

  /** Puts back what all parts were before the newest step, of which only some may have been replaced. */
  undo(): void {
    for (const part of this.#replaced) put(statesOf(this.#earlier, part), statesOf(this.#parts, part));
    this.#replaced.clear();
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
}

function statesOf(parts: readonly (readonly LstmState[])[], part: number): readonly LstmState[] {
  const states = parts[part];
  if (!states) throw new Error(`internal: there is no micro-batch ${part}`);
  return states;
}

/** Copies states into the memory of others. */
function put(from: readonly LstmState[], to: readonly LstmState[]): void {
  const copy = (source: Tensor, target: Tensor): void => source.backend.kernels.affine(source, 1, 0, target);
  for (const [layer, { hidden, cells }] of to.entries()) {
    const state = from[layer];
    if (!state) throw new Error(`internal: there is no state of layer ${layer}`);
    copy(state.hidden, hidden);
    copy(state.cells, cells);
  }
}
