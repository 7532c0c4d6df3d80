import fc from "fast-check";

/** What trips tokenizers up, among what does not. */
const snippets = fc.constantFrom(
  ..."'s|'t|'re|'ve|'m|'ll|'d|'S|'RE|'x|''|don't|I'M|we've ".split("|"),
  ...[" ", "  ", "\t", "\n", "\r\n", "\n\n\n", " \n", "\u00a0", "\u2003", "\u3000", "\u2028", "\v\f", "\u200b"],
  ...["the", " world", "Straße", "ΣΊΣΥΦΟΣ", "İstanbul", "naïve", "e\u0301", "\u0301", "ﬁ", "ſ", "K"],
  ...["日本語", "한국어", "ไทย", "हिन्दी", "العربية", "𐍈𐌰", "𠀀"],
  ...["🙂", "👩‍👩‍👧‍👦", "🇪🇺", "❤️", "👍🏽"],
  ...["0", "42", "1234567", "Ⅷ", "½", "²", "٣"],
  ...["!?", "...", "—", "_", "$€", "{}[]()", "\\", '"', "<|endoftext|>", "<|", "|>"],
  ...["\0", "\x07", "\x7f", "\x1c", "\u200d", "\ufffd", "\ufffe", "\u{10ffff}", "\u0378"],
);

/**
 * Any Unicode text: words, white space and signs of many scripts, control and unassigned characters. `U+0085` and
 * `U+FEFF` are left out: JavaScript's `\s`, which the oracles use, is wrong about them.
 */
export const anyText = fc
  .array(fc.oneof({ weight: 4, arbitrary: snippets }, fc.string({ unit: "binary", maxLength: 4 })), { maxLength: 24 })
  .map((parts) => parts.join("").replaceAll(/[\u0085\ufeff]/g, ""));

/** The same with lone halves of surrogate pairs, which are no characters. */
export const anyString = fc
  .array(fc.oneof(anyText, fc.constantFrom("\ud83d", "\ude42", "\udfff x")), { maxLength: 4 })
  .map((parts) => parts.join(""));
