import type { Tokenizer } from "./tokenizer.ts";

/** What tokens that fill up batches are called in the models people publish. */
const paddingNames = ["<pad>", "[PAD]", "<|pad|>"];

/**
 * The same tokenizer with a padding token that ends no text: its own where that is none of `ends`, one of a known name,
 * the unknown token as Llama 2's users do, or a new one. `transformers` looks for the last token of a text from the end
 * and passes over padding, so that an end that is also padding is missed.
 */
export function withPadding(tokenizer: Tokenizer, ends: ReadonlySet<number>): Tokenizer {
  const { pad, unk } = tokenizer.roles;
  const found = [pad, ...paddingNames, unk].find((token) => {
    const id = token === undefined ? null : tokenizer.idOf(token);
    return id !== null && !ends.has(id);
  });
  const chosen = found ?? "<|pad|>";
  return chosen === pad ? tokenizer : tokenizer.withSpecialTokens([chosen], { pad: chosen });
}

/** Id of the token that fills up batches, or null. */
export function paddingOf(tokenizer: Pick<Tokenizer, "roles" | "idOf">): number | null {
  const { pad } = tokenizer.roles;
  return pad === undefined ? null : tokenizer.idOf(pad);
}
