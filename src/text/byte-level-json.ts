import { z } from "zod";
import { parseContents } from "../core/parse-contents.ts";
import type { ByteLevelBpeParts } from "./byte-level-bpe.ts";
import { ByteLevelBpe } from "./byte-level-bpe.ts";
import { Gpt2Words } from "./gpt2-words.ts";
import type { Cutter } from "./pattern-words.ts";
import { compilePattern, isolating, matching, PatternWords } from "./pattern-words.ts";
import type { PreTokenizer } from "./pre-tokenizer.ts";
import { readTemplate } from "./sequence-template-json.ts";
import { readTextNormalizer } from "./text-normalizer.ts";
import type { Component, TokenizerParts } from "./tokenizer-parts.ts";
import { flatten, unsupportedPart } from "./tokenizer-parts.ts";

/** Whether a `tokenizer.json` is of byte-level BPE. */
export function isByteLevelBpe(parts: TokenizerParts): boolean {
  const { where, preTokenizer, decoder, model } = parts;
  const components = [...flatten(where, preTokenizer, "pretokenizers"), ...flatten(where, decoder, "decoders")];
  return model.type === "BPE" && components.some(({ type }) => type === "ByteLevel");
}

/**
 * Makes a byte-level BPE from the contents of its `tokenizer.json`.
 *
 * @throws {UnsupportedError} when it normalizes or cuts text in a way that is not known here.
 * @throws {CheckpointError} when its parts do not belong together.
 */
export function byteLevelBpeFromJson(parts: TokenizerParts): ByteLevelBpe {
  const { where, model, addedTokens, roles } = parts;
  const unusual = ["dropout", "continuing_subword_prefix"].find((field) => model.fields[field]);
  if (unusual !== undefined) throw unsupportedPart(where, `setting ${unusual} =`, model.fields[unusual]);
  return new ByteLevelBpe(
    {
      vocabulary: model.vocabulary,
      merges: model.merges,
      addedTokens,
      roles,
      preTokenizer: readPreTokenizer(where, parts.preTokenizer),
      ...readNormalization(where, parts.normalizer),
      endOfWord: parseContents(where, SuffixSchema, model.fields.end_of_word_suffix ?? null),
      ignoreMerges: model.fields.ignore_merges === true,
      template: readTemplate(where, parts.postProcessor),
    },
    where,
  );
}

/** A mark that is not there may be written as an empty one. */
const SuffixSchema = z
  .string()
  .nullable()
  .transform((suffix) => suffix || null);

/** One of Unicode's forms, or several steps. */
function readNormalization(
  where: string,
  normalizer: Component | null,
): Pick<ByteLevelBpeParts, "normalization" | "normalizer"> {
  const steps = flatten(where, normalizer, "normalizers");
  const form = z.enum(["NFC", "NFD", "NFKC", "NFKD"]).safeParse(steps[0]?.type);
  if (normalizer === null || steps.length === 0) return {};
  if (steps.length === 1 && form.success) return { normalization: form.data };
  const { normalize, isLocal } = readTextNormalizer(where, normalizer);
  if (!isLocal) throw unsupportedPart(where, "normalizer", normalizer);
  return { normalizer: { normalize, json: normalizer } };
}

const ByteLevelSchema = z.looseObject({
  add_prefix_space: z.boolean().default(true),
  use_regex: z.boolean().default(true),
});

/** GPT-2's pattern, for where it is not the only one; alone it is {@link Gpt2Words}. */
const gpt2Pattern = compilePattern(
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
);

function readPreTokenizer(where: string, json: Component | null): PreTokenizer {
  const steps = flatten(where, json, "pretokenizers");
  const at = steps.findIndex(({ type }) => type === "ByteLevel");
  if (json === null || at < 0) throw unsupportedPart(where, "pre-tokenizer", json);
  const { add_prefix_space: addPrefixSpace, use_regex: useRegex } = parseContents(where, ByteLevelSchema, steps[at]);
  if (steps.length === 1 && useRegex) return new Gpt2Words(addPrefixSpace);
  const before = steps.slice(0, at).map((step) => readCutter(where, step));
  const gpt2 = useRegex && gpt2Pattern ? [isolating(gpt2Pattern)] : [];
  const behind = steps.slice(at + 1).map((step) => readByteCutter(where, step));
  const known = [...before, ...behind];
  return new PatternWords({
    cutters: [...before.map(({ cut }) => cut), ...gpt2, ...behind.map(({ cut }) => cut)],
    addPrefixSpace,
    spacesBeginWords:
      known.every((step) => step.isLocal) && (gpt2.length > 0 || known.some((step) => step.spacesBeginWords)),
    json,
  });
}

/** Patterns in which a plain space can only begin a word: those of Llama 3 and GPT-4, of Qwen, and of GPT-4o. */
const spaceBeginsWord: ReadonlySet<string> = new Set([
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
]);

const SplitSchema = z.looseObject({
  pattern: z.union([z.object({ Regex: z.string() }), z.object({ String: z.string() })]),
  behavior: z.string().transform((name) => name.toLowerCase()),
  invert: z.boolean().default(false),
});

const DigitsSchema = z.looseObject({ individual_digits: z.boolean().default(false) });

interface CuttingStep {
  readonly cut: Cutter;
  /** Whether text before a space is cut in the same way whatever follows. */
  readonly isLocal: boolean;
  /** Whether a plain space can only begin a word. */
  readonly spacesBeginWords: boolean;
}

/**
 * A step that reads bytes by their spellings, of which only ASCII's digits spell themselves. Some others' are digits too,
 * those of ² and ½ for example: no tokenizer that was learned behind such a step has a token in which one is not alone.
 */
function readByteCutter(where: string, step: Component): CuttingStep {
  if (step.type === "Digits") {
    const { individual_digits: individual } = parseContents(where, DigitsSchema, step);
    return { cut: isolating(individual ? /[0-9]/gu : /[0-9]+/gu), isLocal: true, spacesBeginWords: false };
  }
  const { pattern } = parseContents(where, SplitSchema, step);
  if (step.type !== "Split" || !("Regex" in pattern) || !/^(\[0-9\])+$/.test(pattern.Regex)) {
    throw unsupportedPart(where, "pre-tokenizer", step);
  }
  return { ...readCutter(where, step), isLocal: true };
}

function readCutter(where: string, step: Component): CuttingStep {
  if (step.type === "Punctuation" && String(step.behavior).toLowerCase() === "contiguous") {
    return { cut: isolating(/[\p{P}$+<=>^`|~]+/gu), isLocal: true, spacesBeginWords: false };
  }
  if (step.type === "Digits") {
    const { individual_digits: individual } = parseContents(where, DigitsSchema, step);
    return { cut: isolating(individual ? /\p{N}/gu : /\p{N}+/gu), isLocal: true, spacesBeginWords: false };
  }
  if (step.type !== "Split") throw unsupportedPart(where, "pre-tokenizer", step);
  const { pattern, behavior, invert } = parseContents(where, SplitSchema, step);
  const source = "Regex" in pattern ? pattern.Regex : pattern.String.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
  const regex = compilePattern(source);
  const cut = regex && cutterFor(behavior, invert, regex);
  if (!cut) throw unsupportedPart(where, "pre-tokenizer", step);
  const isKnown = spaceBeginsWord.has(source);
  return { cut, isLocal: isKnown, spacesBeginWords: isKnown };
}

/** What is to be kept whole: matches, or with `invert` what lies between them. Isolating, that is the same. */
function cutterFor(behavior: string, invert: boolean, regex: RegExp): Cutter | null {
  if (behavior === "isolated") return isolating(regex);
  return behavior === "removed" && invert ? matching(regex) : null;
}
