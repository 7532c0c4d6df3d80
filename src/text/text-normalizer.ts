import { z } from "zod";
import { parseContents } from "../core/parse-contents.ts";
import { compilePattern } from "./pattern-words.ts";
import { PrecompiledMap } from "./precompiled-map.ts";
import type { Component } from "./tokenizer-parts.ts";
import { flatten, unsupportedPart } from "./tokenizer-parts.ts";

/** One step that changes text before it is cut. */
interface NormalizingStep {
  readonly apply: (text: string) => string;
  /** Whether text before a plain space becomes the same whatever comes behind the space, and the other way round. */
  readonly isLocal: boolean;
  /** Whether spaces that a text begins with are dropped. */
  readonly stripsStart?: boolean;
}

/** What the `normalizer` of a `tokenizer.json` does. */
export interface TextNormalizer {
  /** Well-formed text, normalized. Half of a surrogate pair counts as U+FFFD. */
  readonly normalize: (text: string) => string;
  /** Whether text that ends in a letter or digit and what follows, from a space on, can be normalized one by one. */
  readonly isLocal: boolean;
  /** Whether spaces that a text begins with are dropped. */
  readonly stripsStart: boolean;
}

/** Steps of a `normalizer`, by their type. */
const steps: Readonly<Record<string, (where: string, step: Component) => NormalizingStep>> = {
  NFC: () => unicodeForm("NFC"),
  NFD: () => unicodeForm("NFD"),
  NFKC: () => unicodeForm("NFKC"),
  NFKD: () => unicodeForm("NFKD"),
  // Letter by letter, as the library does: Σ at the end of a word too becomes σ.
  Lowercase: () => replacing(/\p{Changes_When_Lowercased}/gu, (letter) => letter.toLowerCase()),
  StripAccents: () => replacing(/\p{M}/gu, () => ""),
  Precompiled: (where, step) => {
    const { precompiled_charsmap: charsmap } = parseContents(where, PrecompiledSchema, step);
    if (charsmap === null || charsmap === "") return { apply: (text) => text, isLocal: true };
    const map = new PrecompiledMap(charsmap, where);
    return { apply: (text) => map.normalize(text), isLocal: true };
  },
  Strip: (where, step) => {
    const { strip_left: stripsStart, strip_right: stripsEnd } = parseContents(where, StripSchema, step);
    const strip = (text: string): string => {
      const rest = stripsStart ? text.replace(/^\p{White_Space}+/u, "") : text;
      return stripsEnd ? rest.replace(/\p{White_Space}+$/u, "") : rest;
    };
    return { apply: strip, isLocal: !stripsStart, stripsStart };
  },
  Prepend: (where, step) => {
    const { prepend } = parseContents(where, PrependSchema, step);
    return { apply: (text) => (text === "" ? text : prepend + text), isLocal: false };
  },
  Replace: (where, step) => {
    const { pattern, content } = parseContents(where, ReplaceSchema, step);
    const source = "Regex" in pattern ? pattern.Regex : null;
    if ("String" in pattern) {
      const { String: searched } = pattern;
      if (searched === "") throw unsupportedPart(where, "normalizer", step);
      return { apply: (text) => text.replaceAll(searched, () => content), isLocal: !searched.includes(" ") };
    }
    const compiled = compilePattern(source ?? "");
    if (!compiled) throw unsupportedPart(where, "normalizer", step);
    return replacing(compiled, () => content, spaceRuns.has(source ?? ""));
  },
};

/** Patterns of runs of white space. What they make of a run does not depend on letters around it. */
const spaceRuns: ReadonlySet<string> = new Set([" {2,}", "\\s{2,}|[\\n\\r\\t]", "\\s+"]);

const PrecompiledSchema = z.looseObject({ precompiled_charsmap: z.string().nullable() });
const StripSchema = z.looseObject({ strip_left: z.boolean().default(true), strip_right: z.boolean().default(true) });
const PrependSchema = z.looseObject({ prepend: z.string() });
const ReplaceSchema = z.looseObject({
  pattern: z.union([z.object({ Regex: z.string() }), z.object({ String: z.string() })]),
  content: z.string(),
});

function unicodeForm(form: "NFC" | "NFD" | "NFKC" | "NFKD"): NormalizingStep {
  return { apply: (text) => text.normalize(form), isLocal: true };
}

function replacing(pattern: RegExp, by: (match: string) => string, isLocal = true): NormalizingStep {
  return { apply: (text) => text.replace(pattern, by), isLocal };
}

/**
 * Reads a `normalizer` of any of the steps above, one or in a sequence.
 *
 * @throws {UnsupportedError} when a step is not known here.
 * @throws {CheckpointError} when one is damaged.
 */
export function readTextNormalizer(where: string, normalizer: Component | null): TextNormalizer {
  const read = flatten(where, normalizer, "normalizers").map((step) => {
    if (!Object.hasOwn(steps, step.type)) throw unsupportedPart(where, "normalizer", step);
    return steps[step.type]!(`${where}: normalizer`, step);
  });
  return {
    normalize: (text) => read.reduce((normal, { apply }) => apply(normal), text.replace(/\p{Cs}/gu, "\ufffd")),
    isLocal: read.every(({ isLocal }) => isLocal),
    stripsStart: read.some((step) => step.stripsStart === true),
  };
}
