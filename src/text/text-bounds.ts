import type { Tokenizer } from "./tokenizer.ts";

/** Ids that a tokenizer puts around a text. */
export interface TextBounds {
  readonly before: readonly number[];
  readonly behind: readonly number[];
}

/** Stands for a text; no token has it. */
const anyText = -1;

/** What a tokenizer puts around a text of its own: the beginning-of-text token of a Llama, `[CLS]` and `[SEP]` of BERT. */
export function boundsOf(tokenizer: Pick<Tokenizer, "frame">): TextBounds {
  const ids = [...tokenizer.frame(Int32Array.of(anyText)).ids];
  const at = ids.indexOf(anyText);
  return { before: ids.slice(0, at), behind: ids.slice(at + 1) };
}

/**
 * Ids that each document of a decoder's training text begins with: what its tokenizer puts before a text, unless that is
 * the end of the text before. Encoders (with a classification token) frame their inputs themselves.
 */
export function documentStart(tokenizer: Pick<Tokenizer, "frame" | "roles" | "endOfText">): readonly number[] {
  const { before } = boundsOf(tokenizer);
  const isEnd = before.length === 1 && before[0] === tokenizer.endOfText;
  return isEnd || tokenizer.roles.cls !== undefined ? [] : before;
}

/**
 * Ids of a text that may go on, begun as its tokenizer begins texts: once, also where the text itself says how it begins
 * (a prompt that was written with `<s>`).
 */
export function begun(tokenizer: Pick<Tokenizer, "frame">, ids: Int32Array): Int32Array {
  const { before } = boundsOf(tokenizer);
  return before.every((id, i) => ids[i] === id) ? ids : Int32Array.of(...before, ...ids);
}

/** Ids of a whole text with all that its tokenizer puts around it, each once. */
export function bounded(tokenizer: Pick<Tokenizer, "frame">, ids: Int32Array): Int32Array {
  const { behind } = boundsOf(tokenizer);
  const start = begun(tokenizer, ids);
  const isEnded = behind.every((id, i) => start[start.length - behind.length + i] === id);
  return isEnded ? start : Int32Array.of(...start, ...behind);
}

/**
 * {@link bounded} for an encoder-decoder: where its tokenizer puts nothing around a text, the model's end is put behind.
 */
export function wholeText(tokenizer: Pick<Tokenizer, "frame">, ids: Int32Array, endOfText: number | null): Int32Array {
  const { before, behind } = boundsOf(tokenizer);
  if (before.length + behind.length > 0 || endOfText === null) return bounded(tokenizer, ids);
  return ids.at(-1) === endOfText ? ids : Int32Array.of(...ids, endOfText);
}
