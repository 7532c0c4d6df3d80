/** How a run measures its model, on the way and at the end. */
export interface Measurement<Result> {
  /** Measures the model as it is. @throws {unknown} the reason of `signal` when that is aborted, where measuring heeds it. */
  readonly now: (signal?: AbortSignal) => Promise<Result>;
  /** What is known of the final model, which was evaluated after the last step: without `--patience` it is still that one. */
  readonly final: () => Promise<Result>;
}

/** A measurement that is not made twice of the final model. */
export function measurement<Result>(
  { patience }: { readonly patience: number },
  measure: (signal?: AbortSignal) => Promise<Result>,
): Measurement<Result> {
  let newest: { readonly result: Result } | null = null;
  const now = async (signal?: AbortSignal): Promise<Result> => {
    const result = await measure(signal);
    newest = { result };
    return result;
  };
  return { now, final: async () => (patience === 0 && newest ? newest.result : now()) };
}
