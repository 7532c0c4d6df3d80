import { DataError } from "../core/errors.ts";

/**
 * A regular expression of a task file, which is Python's: flags at its beginning, such as `(?s)`, are JavaScript's own.
 *
 * @throws {DataError} when it is none in JavaScript.
 */
export function pythonPattern(task: string, source: string): RegExp {
  const [, named = "", pattern = source] = /^\(\?([ims]+)\)(.*)$/s.exec(source) ?? [];
  try {
    return new RegExp(pattern, `g${[...new Set(named)].join("")}`);
  } catch (error) {
    throw new DataError(`task ${task}: ${source} is not a regular expression of JavaScript; correct it`, {
      cause: error,
    });
  }
}
