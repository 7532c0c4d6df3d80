import type { Tokenizer } from "./tokenizer.ts";

/** What tokens that fill up batches are called in the models people publish. */
const paddingNames = ["<pad>", "[PAD]", "<|pad|>"];

/**
 * The same tokenizer with a padding token that ends no text: its own where that is none of `ends`, one of a known name,
 * the unknown token as Llama 2's users do, or a new one. `transformers` looks for the last token of a text from the end
 * and passes over padding, so that an end that is also padding is missed.
 */
export function withPadding(tokenizer: Tokenizer, ends: ReadonlySet<number>): Tokenizer {
  return paddedBy(tokenizer, knownPadding(tokenizer, ends) ?? "<|pad|>");
}

/**
 * The same tokenizer with a padding token that its model has a row for, for readers that a mask tells what is padding:
 * one as {@link withPadding} looks for, else the token that ends a text, or that begins one. A tokenizer that has none of
 * them stays as it is.
 */
export function withMaskedPadding(tokenizer: Tokenizer): Tokenizer {
  const { endOfText, roles } = tokenizer;
  const end = endOfText === null ? null : tokenizer.tokenOf(endOfText);
  const chosen = knownPadding(tokenizer, new Set()) ?? end ?? roles.bos;
  return chosen === undefined ? tokenizer : paddedBy(tokenizer, chosen);
}

/** A token of the tokenizer's own that may be padding and is none of `ends`. */
function knownPadding(tokenizer: Tokenizer, ends: ReadonlySet<number>): string | undefined {
  const { pad, unk } = tokenizer.roles;
  return [pad, ...paddingNames, unk].find((token) => {
    const id = token === undefined ? null : tokenizer.idOf(token);
    return id !== null && !ends.has(id);
  });
}

function paddedBy(tokenizer: Tokenizer, token: string): Tokenizer {
  return token === tokenizer.roles.pad ? tokenizer : tokenizer.withSpecialTokens([token], { pad: token });
}

/** Id of the token that fills up batches, or null. */
export function paddingOf(tokenizer: Pick<Tokenizer, "roles" | "idOf">): number | null {
  const { pad } = tokenizer.roles;
  return pad === undefined ? null : tokenizer.idOf(pad);
}
