import { Tensor } from "../../tensor/tensor.ts";

/** Hidden states that have something to predict. */
export interface TrainedRows {
  /** `[trained, width]` */
  readonly hidden: Tensor;
  /** int32 `[trained]` */
  readonly targets: Tensor;
  /** 1 / the number of targets: turns a sum of losses into their mean. */
  readonly scale: number;
}

/**
 * The rows of hidden states whose target is not negative, so that the others do not go through the output layer. Where
 * none has a target all are given: their loss is 0.
 *
 * Shapes: hidden `[…, width]`, targets one for each row.
 */
export function trainedRows(hidden: Tensor, targets: Int32Array): TrainedRows {
  const rows = hidden.reshape([targets.length, -1]);
  const trained = Int32Array.from(targets.keys()).filter((i) => (targets[i] ?? -1) >= 0);
  const scale = 1 / Math.max(trained.length, 1);
  if (trained.length === targets.length || trained.length === 0) {
    return { hidden: rows, targets: Tensor.from(hidden.backend, targets, [targets.length]), scale };
  }
  const kept = trained.map((i) => targets[i] ?? 0);
  return {
    hidden: rows.gatherRows(Tensor.from(hidden.backend, trained, [trained.length])),
    targets: Tensor.from(hidden.backend, kept, [kept.length]),
    scale,
  };
}
