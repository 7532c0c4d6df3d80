import type { EncoderDecoderSettings } from "../models/encoder-decoder-settings.ts";
import type { Tokenizer } from "../text/tokenizer.ts";

/** The same tokenizer with an end, padding, and further tokens, as far as it lacks them. */
export function withWritingTokens(tokenizer: Tokenizer, further: readonly string[] = []): Tokenizer {
  const roles = {
    ...(tokenizer.roles.eos === undefined ? { eos: "</s>" } : {}),
    ...(tokenizer.roles.pad === undefined ? { pad: "<pad>" } : {}),
  };
  const tokens = [...Object.values(roles), ...further].filter((token) => !tokenizer.specialTokens.has(token));
  return tokens.length > 0 ? tokenizer.withSpecialTokens(tokens, roles) : tokenizer;
}

/** The settings of a new model with the ids that its tokenizer ends and fills up with; its decoder starts from padding. */
export function withWritingIds(settings: EncoderDecoderSettings, tokenizer: Tokenizer): EncoderDecoderSettings {
  const idOf = (role: "pad" | "eos"): number => tokenizer.specialTokens.get(tokenizer.roles[role] ?? "") ?? 0;
  return { ...settings, padding: idOf("pad"), decoderStart: idOf("pad"), endOfText: idOf("eos") };
}
