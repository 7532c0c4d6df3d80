import { createContext, Script } from "node:vm";
import { DataError } from "../core/errors.ts";
import { translatePattern } from "./python-regex-syntax.ts";

/** What one text may cost a pattern: what does not end by then would hardly ever. */
const budgetMs = 1000;

/** Patterns run where their time can be limited: a match that backtracks without end cannot be stopped otherwise. */
const place = createContext({ pattern: null, text: "", found: null });
const search = new Script("found = [...text.matchAll(pattern)]");

/** A regular expression of Python's `re`, with a time limit for each text. */
export class PythonPattern {
  readonly #where: string;
  readonly #source: string;
  readonly #pattern: RegExp;

  /**
   * @param where - How messages name the place that it is from.
   * @throws {DataError} when it is no regular expression.
   * @throws {UnsupportedError} naming what is not supported.
   */
  constructor(where: string, source: string) {
    this.#where = where;
    this.#source = source;
    const translated = translatePattern(where, source);
    try {
      this.#pattern = new RegExp(translated.source, `gu${translated.flags}`);
    } catch (error) {
      throw new DataError(`${where}: ${JSON.stringify(source)} is not a regular expression; correct it`, {
        cause: error,
      });
    }
  }

  /**
   * What `findall` gives: each match; its group, where there is one; its groups, where there are several.
   *
   * @throws {DataError} when the text takes too long.
   */
  findAll(text: string): (string | string[])[] {
    return this.#matches(text).map(([whole, ...groups]) => {
      const texts = groups.map((group) => group ?? "");
      return texts.length > 1 ? texts : (texts[0] ?? whole);
    });
  }

  /**
   * What `sub` gives; `\1` and `\g<name>` in the replacement are groups. A count of 0 is all.
   *
   * @throws {DataError} when the text takes too long.
   */
  replace(text: string, by: string, count = 0): string {
    const matches = this.#matches(text).slice(0, count > 0 ? count : undefined);
    let [out, from] = ["", 0];
    for (const match of matches) {
      out += text.slice(from, match.index) + expanded(by, match);
      from = match.index + match[0].length;
    }
    return out + text.slice(from);
  }

  #matches(text: string): RegExpExecArray[] {
    Object.assign(place, { pattern: this.#pattern, text });
    try {
      search.runInContext(place, { timeout: budgetMs });
      return place.found as RegExpExecArray[];
    } catch (error) {
      if ((error as { code?: unknown }).code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
      throw new DataError(
        `${this.#where}: the regular expression ${JSON.stringify(this.#source)} does not end within ${budgetMs / 1000} s on ` +
          `${JSON.stringify(text.slice(0, 40))}… (${text.length} characters); write it without repetitions inside repetitions`,
        { cause: error },
      );
    } finally {
      Object.assign(place, { pattern: null, text: "", found: null });
    }
  }
}

function expanded(by: string, match: RegExpExecArray): string {
  return by.replaceAll(/\\(?:g<(\w+)>|(\d{1,2})|([nrt\\]))/g, (_, name?: string, number?: string, control?: string) => {
    if (control !== undefined) return { n: "\n", r: "\r", t: "\t" }[control] ?? "\\";
    const key = number ?? name ?? "";
    return (/^\d+$/.test(key) ? match[Number(key)] : match.groups?.[key]) ?? "";
  });
}
