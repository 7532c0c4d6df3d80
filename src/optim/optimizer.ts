import type { Parameter } from "../nn/parameters.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** What changes parameters by their gradients: all that the loop and its checkpoints ask of it. */
export interface Optimizer {
  /** Updates made; set when a run goes on. */
  step: number;
  /** The parameters it changes, by name. */
  parameters(): ReadonlyMap<string, Parameter>;
  /** Updates every parameter that has a gradient; each is first multiplied by `gradientScale`, one element. */
  update(learningRate: number, gradientScale: Tensor): void;
  /** Forgets all gradients, giving their memory back. */
  clearGradients(): void;
  /** What it remembers from step to step, by name: what a checkpoint holds beside `step`. */
  state(): Map<string, Tensor>;
}
