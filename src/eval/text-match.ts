import { pythonSpace } from "../text/jinja/string-methods.ts";
import { PythonPattern } from "./python-pattern.ts";

/** Punctuation of ASCII, Python's `string.punctuation`. */
const punctuation = /[!-/:-@[-`{-~]/g;

/** White space of Python's `\s`. */
const spaces = new RegExp(`[${pythonSpace}]+`);

/** Parts between white space, empty ones at the ends too: what the harness counts as words. */
export function answerWords(text: string): string[] {
  return text.split(spaces);
}

/** Whether two texts are the same, after what the options of `exact_match` leave out of both. */
export function isExactMatch(said: string, right: string, options: Readonly<Record<string, unknown>>): boolean {
  return normalised(said, options) === normalised(right, options);
}

function normalised(text: string, options: Readonly<Record<string, unknown>>): string {
  const patterns = Array.isArray(options.regexes_to_ignore) ? options.regexes_to_ignore : [];
  let out = text;
  for (const pattern of patterns) if (pattern instanceof PythonPattern) out = pattern.replace(out, "");
  if (options.ignore_case === true) out = out.toLowerCase();
  if (options.ignore_punctuation === true) out = out.replaceAll(punctuation, "");
  if (options.ignore_numbers === true) out = out.replaceAll(/[0-9]/g, "");
  return out;
}

/**
 * Harmonic mean of the shares of words in common, without case, punctuation and articles.
 *
 * @see Rajpurkar et al. (2016), "SQuAD", section 6.1.
 */
export function wordF1(said: string, right: string): number {
  const [a, b] = [plainWords(said), plainWords(right)];
  const left = [...b];
  const common = a.filter((word) => {
    const at = left.indexOf(word);
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  }).length;
  return a.length + b.length === 0 ? 1 : (2 * common) / (a.length + b.length);
}

function plainWords(text: string): string[] {
  const words = answerWords(text.toLowerCase().replaceAll(punctuation, ""));
  return words.filter((word) => word !== "" && !/^(a|an|the)$/.test(word));
}
