/** How a run measures its model, on the way and at the end. */
export interface Measurement<Result> {
  /** Measures the model as it is. */
  readonly now: () => Promise<Result>;
  /** What is known of the final model, which was evaluated after the last step: without `--patience` it is still that one. */
  readonly final: () => Promise<Result>;
}

/** A measurement that is not made twice of the final model. */
export function measurement<Result>(
  { patience }: { readonly patience: number },
  measure: () => Promise<Result>,
): Measurement<Result> {
  let newest: { readonly result: Result } | null = null;
  const now = async (): Promise<Result> => {
    const result = await measure();
    newest = { result };
    return result;
  };
  return { now, final: async () => (patience === 0 && newest ? newest.result : now()) };
}
