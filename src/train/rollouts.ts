import { Tensor } from "../tensor/tensor.ts";
import type { Answered } from "./answers.ts";
import type { MicroBatch } from "./run.ts";

/** Numbers of all tokens of some answers, in their order: `[tokens]`. */
export function joined<Answer>(
  { backend }: Pick<Tensor, "backend">,
  answers: readonly Answer[],
  numbersOf: (answer: Answer) => Float32Array,
): Tensor {
  const values = Float32Array.from(answers.flatMap((answer) => [...numbersOf(answer)]));
  return Tensor.from(backend, values, [values.length]);
}

/** Parts of nearly equal length, none empty. */
export function divide(order: Uint32Array, parts: number): Uint32Array[] {
  const count = Math.min(parts, order.length);
  const at = (part: number): number => Math.floor((part * order.length) / count);
  return Array.from({ length: count }, (_, part) => order.subarray(at(part), at(part + 1)));
}

/** Tokens of all answers: what a mean over tokens weighs them by. */
export function byTokens(answers: readonly Answered[]): number {
  return answers.reduce((sum, { answer }) => sum + answer.length, 0);
}

/**
 * Answers in pieces that fit through a model.
 *
 * @param weightOf - What a piece weighs in the update's loss: {@link byTokens} or their number.
 */
export function microBatches<Answer extends Answered>(
  answers: readonly Answer[],
  batchSize: number,
  weightOf: (answers: readonly Answer[]) => number,
): MicroBatch<Answer[]>[] {
  const total = weightOf(answers);
  return Array.from({ length: Math.ceil(answers.length / batchSize) }, (_, i) => {
    const batch = answers.slice(i * batchSize, (i + 1) * batchSize);
    return { batch, share: weightOf(batch) / total, tokens: byTokens(batch) };
  });
}

/** Time between two moments of `performance.now()`, in seconds. */
export function seconds(start: number, end = performance.now()): number {
  return (end - start) / 1000;
}
