import { z } from "zod";
import { embeddingInput } from "../../generate/embed.ts";
import { wrongField } from "../api-error.ts";
import type { AskedModel } from "../asked-model.ts";
import { tooLong } from "../asked-model.ts";
import { modelField } from "../fields.ts";
import { requestLimits } from "../limits.ts";
import type { TokenTexts } from "../token-texts.ts";
import type { ShownToken } from "./look-answers.ts";

/** Fields of a request that looks at a text. */
export const lookFields = {
  model: modelField,
  prompt: z
    .string()
    .min(1)
    .max(requestLimits.lookedAt)
    .describe("a text; special tokens may be spelled in it, as in what /apply-template gives"),
};

/**
 * A text's ids as the model reads it by itself.
 *
 * @param most - Tokens, beside what the model reads at most.
 * @throws {ApiError} 400 when there are none, or more.
 */
export function idsOfText({ text, opened }: AskedModel, prompt: string, most: number): Int32Array {
  const { modules, context } = opened;
  const { tokenizer } = text;
  const ids =
    modules === null
      ? text.completion(prompt).ids
      : embeddingInput({ model: { modules }, tokenizer, maxLength: context }, prompt, "").ids;
  if (ids.length === 0) throw wrongField("prompt", "prompt: has no tokens; give a text");
  const limit = Math.min(most, context);
  if (ids.length <= limit) return ids;
  throw tooLong("prompt", ids.length, limit, { reads: `${limit} can be looked at` });
}

/** Tokens with their texts. */
export function shownTokens(ids: Iterable<number>, texts: TokenTexts): ShownToken[] {
  return Array.from(ids, (id) => ({ id, text: texts.textOf(id) }));
}

/** JSON has no infinity. */
export function finite(value: number): number {
  return Number.isFinite(value) ? value : Math.sign(value) * 9999 || -9999;
}
