import { z } from "zod";
import { parseContents } from "../core/parse-contents.ts";
import { lastWordBoundary } from "./pre-tokenizer.ts";
import type { TokenizerParts } from "./tokenizer-parts.ts";
import { unsupportedPart } from "./tokenizer-parts.ts";

/** How BERT changes text before it is cut. */
export interface BertNormalization {
  /** Drop control characters and make all white space plain. */
  readonly cleanText: boolean;
  /** Make every Chinese character a word. */
  readonly separateChinese: boolean;
  /** Drop accents; null: when `lowercase` is set. */
  readonly stripAccents: boolean | null;
  readonly lowercase: boolean;
}

const punctuation = "\\p{P}!-/:-@\\[-`{-~";
const wordPattern = new RegExp(`[^\\p{White_Space}${punctuation}]+|[${punctuation}]`, "gu");
const chinese = /[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;

/**
 * BERT's words: runs of letters, digits and the like, and each punctuation mark on its own; white space is dropped.
 * GPT-1 has the same.
 *
 * @see Devlin et al. (2019), arXiv:1810.04805, and the `BasicTokenizer` published with it. Where Hugging Face's native
 * library departs from that (it lowers Σ to σ at the end of a word too), this does not.
 */
export class BertWords {
  readonly normalization: BertNormalization;

  constructor(normalization: Partial<BertNormalization> = {}) {
    this.normalization = {
      cleanText: true,
      separateChinese: true,
      stripAccents: null,
      lowercase: true,
      ...normalization,
    };
  }

  /** Text as words are cut from it. */
  normalize(text: string): string {
    const { cleanText, separateChinese, stripAccents, lowercase } = this.normalization;
    let normal = text;
    if (cleanText) {
      normal = normal.replace(/(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}\p{Cs}\ufffd]/gu, "").replace(/\p{White_Space}/gu, " ");
    }
    if (separateChinese) normal = normal.replace(chinese, " $& ");
    if (lowercase) normal = normal.toLowerCase();
    return (stripAccents ?? lowercase) ? normal.normalize("NFD").replace(/\p{Mn}/gu, "") : normal;
  }

  /** Words of normalized text. */
  words(text: string): string[] {
    return text.match(wordPattern) ?? [];
  }

  /** As {@link Tokenizer.cutPoint}. */
  cutPoint(text: string): number {
    return lastWordBoundary(text);
  }

  /** The `normalizer` and `pre_tokenizer` entries of `tokenizer.json`. */
  toJson(): { normalizer: object; pre_tokenizer: object } {
    const { cleanText, separateChinese, stripAccents, lowercase } = this.normalization;
    const flags = {
      clean_text: cleanText,
      handle_chinese_chars: separateChinese,
      strip_accents: stripAccents,
      lowercase,
    };
    return { normalizer: { type: "BertNormalizer", ...flags }, pre_tokenizer: { type: "BertPreTokenizer" } };
  }
}

const NormalizerSchema = z.looseObject({
  clean_text: z.boolean().default(true),
  handle_chinese_chars: z.boolean().default(true),
  strip_accents: z.boolean().nullable().default(null),
  lowercase: z.boolean().default(true),
});

/**
 * The words of a `tokenizer.json` that cuts text as BERT does.
 *
 * @throws {UnsupportedError} when it does not.
 */
export function readBertWords({ where, normalizer, preTokenizer }: TokenizerParts): BertWords {
  if (preTokenizer?.type !== "BertPreTokenizer") throw unsupportedPart(where, "pre-tokenizer", preTokenizer);
  if (normalizer?.type !== "BertNormalizer") throw unsupportedPart(where, "normalizer", normalizer);
  const flags = parseContents(`${where}: normalizer`, NormalizerSchema, normalizer);
  return new BertWords({
    cleanText: flags.clean_text,
    separateChinese: flags.handle_chinese_chars,
    stripAccents: flags.strip_accents,
    lowercase: flags.lowercase,
  });
}
