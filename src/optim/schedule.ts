/** How the learning rate changes over a run. */
export interface ScheduleSettings {
  /** Largest rate, reached at the end of the warm-up. */
  readonly learningRate: number;
  /** Rate at the last step, as a share of the largest. */
  readonly finalShare: number;
  /** Steps of linear growth from 0. */
  readonly warmupSteps: number;
  readonly steps: number;
  readonly shape: ScheduleShape;
}

/** Decline after the warm-up: half a cosine wave, a straight line, with the inverse square root of the step, or none. */
export const scheduleShapes = ["cosine", "linear", "inverse-sqrt", "constant"] as const;

/** One of {@link scheduleShapes}. */
export type ScheduleShape = (typeof scheduleShapes)[number];

/**
 * Learning rate of the update with 0-based number `step`: (step + 1) / warmupSteps of the largest during warm-up,
 * then down to finalShare of it at the last step; by the inverse square root, which knows no last step, to
 * √(warmupSteps / (step + 1)) of it.
 *
 * @see Vaswani et al. (2017), "Attention is all you need", equation 3, arXiv:1706.03762, for the inverse square root.
 * @see Loshchilov & Hutter (2017), "SGDR", equation 5, arXiv:1608.03983, for the cosine.
 */
export function learningRateAt(step: number, settings: ScheduleSettings): number {
  const { learningRate, finalShare, warmupSteps, steps, shape } = settings;
  if (step < warmupSteps) return (learningRate * (step + 1)) / warmupSteps;
  if (shape === "inverse-sqrt") return learningRate * Math.sqrt(Math.max(warmupSteps, 1) / (step + 1));
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, steps - 1 - warmupSteps));
  const left = { cosine: (1 + Math.cos(Math.PI * progress)) / 2, linear: 1 - progress, constant: 1 }[shape];
  return learningRate * (shape === "constant" ? 1 : finalShare + (1 - finalShare) * left);
}
