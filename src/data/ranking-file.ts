import { appendFile, readFile } from "node:fs/promises";
import { DataError } from "../core/errors.ts";
import { writeFileAtomic } from "../files/atomic-write.ts";
import { fileError, systemCode } from "../files/file-error.ts";
import type { ChatMessage } from "../text/chat-message.ts";

/** Answers to be ranked. */
export interface Candidates {
  readonly prompt: string | readonly ChatMessage[];
  readonly completions: readonly string[];
}

/** A JSONL file of rankings that grows by one line a decision, so that nothing is lost when ranking is interrupted. */
export class RankingFile {
  readonly path: string;
  #lines: string[];

  private constructor(path: string, lines: string[]) {
    this.path = path;
    this.#lines = lines;
  }

  /**
   * @throws {FileError} when it exists and cannot be read.
   * @throws {DataError} when its last line is incomplete, or a line is no ranking.
   */
  static async open(path: string): Promise<RankingFile> {
    const text = await readFile(path, "utf8").catch((error: unknown) => {
      if (systemCode(error) === "ENOENT") return "";
      throw fileError(path, "read", error);
    });
    if (text !== "" && !text.endsWith("\n")) {
      throw new DataError(`${path}: its last line is incomplete; end or remove that line, then go on`);
    }
    const lines = text.split("\n").slice(0, -1);
    const other = lines.findIndex((line) => !isRanking(line));
    if (other >= 0) throw new DataError(`${path}, line ${other + 1}: is no ranking; choose another file to add to`);
    return new RankingFile(path, lines);
  }

  /** Rankings in the file. */
  get length(): number {
    return this.#lines.length;
  }

  /** Whether these very answers are ranked already. */
  has(candidates: Candidates): boolean {
    const key = keyOf(candidates);
    return this.#lines.some((line) => keyOf(parse(line)) === key);
  }

  /**
   * Adds a ranking; 1 is best, equal ranks are ties.
   *
   * @throws {FileError} when the disk is full.
   */
  async append({ prompt, completions }: Candidates, ranks: readonly number[]): Promise<void> {
    const line = JSON.stringify({ prompt, completions, ranks });
    await appendFile(this.path, `${line}\n`).catch((error: unknown) => {
      throw fileError(this.path, "write", error);
    });
    this.#lines.push(line);
  }

  /**
   * Takes the last ranking away again, all at once: whatever happens, the file holds the rankings with or without it.
   *
   * @throws {FileError} when the disk is full; nothing is lost then.
   */
  async undo(): Promise<void> {
    const lines = this.#lines.slice(0, -1);
    await writeFileAtomic(this.path, lines.map((line) => `${line}\n`).join(""));
    this.#lines = lines;
  }
}

/**
 * Ranks from an order as a person types it, best first: the numbers of all `count` answers, `=` between equal ones, as
 * in `3 1=4 2`. Commas, spaces and `>` separate; for at most 9 answers nothing need (`31=42`).
 *
 * @returns the rank of each answer, or in one sentence what is wrong.
 */
export function parseOrder(text: string, count: number): readonly number[] | string {
  const digits = count < 10 ? /\d/g : /\d+/g;
  const groups = text
    .trim()
    .replaceAll(/\s*=\s*/g, "=")
    .split(count < 10 ? /[\s,>]+|(?<=\d)(?=\d)/ : /[\s,>]+/)
    .filter((group) => group !== "");
  if (groups.some((group) => !/^\d+(=\d+)*$/.test(group))) return "type the numbers of the answers, best first";
  const ranks = new Array<number>(count).fill(0);
  for (const [rank, group] of groups.entries()) {
    for (const digit of group.match(digits) ?? []) {
      const answer = Number(digit) - 1;
      if (ranks[answer] === undefined) return `there is no answer ${digit}`;
      if (ranks[answer] !== 0) return `answer ${digit} is there twice`;
      ranks[answer] = rank + 1;
    }
  }
  const missing = ranks.indexOf(0);
  if (missing >= 0) return `answer ${missing + 1} is missing`;
  return groups.length === 1 ? "all answers are equal, which says nothing: skip them" : ranks;
}

function keyOf({ prompt, completions }: Partial<Candidates>): string {
  return JSON.stringify([prompt, completions]);
}

function parse(line: string): Partial<Candidates> {
  try {
    return (JSON.parse(line) as Partial<Candidates> | null) ?? {};
  } catch {
    return {};
  }
}

function isRanking(line: string): boolean {
  const { completions, ranks } = parse(line) as { readonly completions?: unknown; readonly ranks?: unknown };
  return Array.isArray(completions) && Array.isArray(ranks) && ranks.length === completions.length;
}
