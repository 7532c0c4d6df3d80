import { SettingsError } from "../core/errors.ts";

/** The ids of a text's tokens. */
export type TokenList = readonly number[] | Int32Array;

/**
 * Makes sure that what a caller gives is a list with the ids of each text, and not a text or the ids of one.
 *
 * @param noun - What messages call one of them: `prompt`, `text`.
 * @throws {SettingsError} saying what it is instead.
 */
export function refuseOtherLists(noun: string, lists: readonly TokenList[]): void {
  if (!Array.isArray(lists)) {
    throw new SettingsError(`generate: ${noun}s must be a list of lists of token ids, got ${kindOf(lists)}; ${remedy}`);
  }
  const wrong = lists.findIndex((list) => !Array.isArray(list) && !(list instanceof Int32Array));
  if (wrong >= 0) {
    const kind = kindOf(lists[wrong]);
    throw new SettingsError(`generate: ${noun} ${wrong + 1} must be a list of token ids, got ${kind}; ${remedy}`);
  }
}

const remedy = "give [tokenizer.encode(text)]";

/** What a value is, in a word or two: shown whole, the ids of a text would fill the screen. */
function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return typeof value === "object" ? `one ${value.constructor?.name ?? "object"}` : `a ${typeof value}`;
}

/**
 * Makes sure that a model has a row for each id of a text.
 *
 * @throws {SettingsError} naming the first that is none.
 */
export function refuseOtherIds(where: string, list: TokenList, vocabularySize: number): void {
  const outside = list.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize);
  if (outside === undefined) return;
  throw new SettingsError(
    `generate: token ${outside} of ${where} is outside the model's vocabulary of ${vocabularySize}; ` +
      "is this the tokenizer that the model was trained with?",
  );
}
