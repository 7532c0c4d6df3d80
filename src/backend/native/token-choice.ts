import type { Backend } from "../kernels.ts";
import { logprobOf } from "../reference/token-choice.ts";
import type { ChosenToken, TokenChoice } from "../token-choice.ts";
import { weightBits } from "../token-choice.ts";
import type { NativeFunctions } from "./addon.ts";
import { handleOf } from "./storage.ts";

/** Numbers of a row's results before its alternatives: token, its logit, the largest, sum of weights, alternatives. */
const resultNumbers = 5;

/** Chooses tokens from logits where they lie; what it decides by is plain numbers. */
export function tokenChooser(native: NativeFunctions): Backend["chooseTokens"] {
  return async (logits, choices) => {
    const width = logits.shape.at(-1) ?? 0;
    const numbers = choices.flatMap((choice) => rowNumbers(choice, width));
    const lists = choices.flatMap(({ allowed, seen, bias, lowered }) => [
      ...[allowed ?? new Int32Array(0), seen, bias.ids, lowered.ids],
    ]);
    const ids = new Int32Array(lists.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const list of lists) {
      ids.set(list, at);
      at += list.length;
    }
    const sizes = choices.map(({ alternatives }) => resultNumbers + 2 * (alternatives ?? 0));
    const results = new Float64Array(sizes.reduce((sum, size) => sum + size, 0));
    const [handle, offset] = [handleOf(logits), logits.offset];
    native.chooseTokens(handle, offset, choices.length, width, Float64Array.from(numbers), ids, results);
    let start = 0;
    return choices.map(({ alternatives }, row) => {
      const own = results.subarray(start, start + (sizes[row] ?? 0));
      start += own.length;
      return chosenOf(own, alternatives !== null);
    });
  };
}

/** In the order of `readChoice` in native/binding/token-choice.cpp. */
function rowNumbers(choice: TokenChoice, width: number): number[] {
  const { allowed, seen, bias, lowered } = choice;
  return [
    ...[choice.temperature, choice.topK, choice.topP, choice.minP, choice.uniform, choice.repetitionPenalty],
    ...[choice.given ?? -1, choice.alternatives ?? -1, weightBits(width)],
    ...[allowed?.length ?? 0, seen.length, bias.ids.length, lowered.ids.length],
    ...bias.amounts,
    ...lowered.amounts,
  ];
}

function chosenOf(numbers: Float64Array, isScored: boolean): ChosenToken {
  const [token = -1, logit = 0, peak = 0, sum = 1, count = 0] = numbers;
  if (token < 0 || !isScored) return { token, logprob: null, top: [] };
  const top = Array.from({ length: count }, (_, i) => ({
    token: numbers[resultNumbers + 2 * i] ?? 0,
    logprob: logprobOf(numbers[resultNumbers + 2 * i + 1] ?? 0, peak, sum),
  }));
  return { token, logprob: logprobOf(logit, peak, sum), top };
}
