import { groupBy } from "../core/group-by.ts";
import { OwnedLines } from "../files/owned-lines.ts";
import type { ChatMessage } from "../text/chat-message.ts";

/** Answers to be ranked. */
export interface Candidates {
  readonly prompt: string | readonly ChatMessage[];
  readonly completions: readonly string[];
  /** Who wrote each of them, where that is known. */
  readonly models?: readonly string[] | undefined;
}

/** How a ranking came to be. */
export interface RankingDetails {
  /** Names this decision: one that is saved twice, as an answer was lost on its way, is there once. */
  readonly id?: string | undefined;
  /** Who decided. */
  readonly rater?: string | undefined;
  /** Time it took, in seconds. */
  readonly seconds?: number | undefined;
  /** The order on screen: numbers of the answers from 0, the first shown first. */
  readonly shown?: readonly number[] | undefined;
  /** When: an ISO date. */
  readonly ratedAt?: string | undefined;
}

/** A ranking as the file has it; 1 is best, equal ranks are ties. */
export interface SavedRanking extends Candidates, RankingDetails {
  readonly ranks: readonly number[];
}

interface Entry {
  readonly line: string;
  readonly key: string;
  readonly ranking: SavedRanking;
}

/**
 * A JSONL file of rankings that grows by one line a decision, so that nothing is lost when ranking is interrupted. Only
 * this process writes it until it is closed.
 */
export class RankingFile {
  readonly #file: OwnedLines;
  #entries: readonly Entry[] = [];
  /** Of each set of answers its rankings, oldest first. */
  #ofKey = new Map<string, Entry[]>();

  private constructor(file: OwnedLines) {
    this.#file = file;
    this.#hold(file.lines.map(entryOf));
  }

  /**
   * @throws {FileError} when another process writes it, naming that process, or it cannot be read.
   * @throws {DataError} when a line is no ranking.
   */
  static async open(path: string): Promise<RankingFile> {
    const rules = { isLine: isRanking, what: "ranking", remedy: "choose another --output" };
    return new RankingFile(await OwnedLines.open(path, rules));
  }

  get path(): string {
    return this.#file.path;
  }

  /** Whether a line that was cut short, as whoever wrote it was killed, was taken away. */
  get wasMended(): boolean {
    return this.#file.wasMended;
  }

  /** Rankings in the file. */
  get length(): number {
    return this.#entries.length;
  }

  /** All of them, oldest first. */
  get rankings(): readonly SavedRanking[] {
    return this.#entries.map(({ ranking }) => ranking);
  }

  /** Whether these very answers are ranked already. */
  has(candidates: Candidates): boolean {
    return this.#ofKey.has(candidatesKey(candidates));
  }

  /** The rankings of these very answers, oldest first. */
  ratingsOf(candidates: Candidates): SavedRanking[] {
    return (this.#ofKey.get(candidatesKey(candidates)) ?? []).map(({ ranking }) => ranking);
  }

  /** The ranking that was saved under a name. */
  named(id: string): SavedRanking | null {
    return this.#entries.find(({ ranking }) => ranking.id === id)?.ranking ?? null;
  }

  /**
   * Adds a ranking, which is on disk when this is over; 1 is best, equal ranks are ties.
   *
   * @throws {FileError} when the disk is full.
   */
  async append(
    { prompt, completions, models }: Candidates,
    ranks: readonly number[],
    { ratedAt, ...details }: RankingDetails = {},
  ): Promise<void> {
    const line = JSON.stringify({ prompt, completions, ranks, models, ...details, rated_at: ratedAt });
    await this.#file.append(line);
    this.#hold([...this.#entries, entryOf(line)]);
  }

  /**
   * Takes the last ranking away again, or that of a name, all at once: whatever happens, the file holds the rankings
   * with or without it.
   *
   * @returns the ranking, or null where there is none.
   * @throws {FileError} when the disk is full; nothing is lost then.
   */
  async undo(id?: string): Promise<SavedRanking | null> {
    const last = id === undefined ? this.#entries.at(-1) : this.#entries.find(({ ranking }) => ranking.id === id);
    if (last === undefined) return null;
    await this.#file.remove(last.line);
    this.#hold(this.#entries.filter((entry) => entry !== last));
    return last.ranking;
  }

  /** Lets others write the file. */
  async close(): Promise<void> {
    await this.#file.close();
  }

  #hold(entries: readonly Entry[]): void {
    this.#entries = entries;
    this.#ofKey = groupBy(entries, ({ key }) => key);
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

/** What tells candidates from others: their texts. */
export function candidatesKey({ prompt, completions }: Candidates): string {
  return JSON.stringify([prompt, completions]);
}

function entryOf(line: string): Entry {
  const { rated_at: ratedAt, ...row } = JSON.parse(line) as SavedRanking & { readonly rated_at?: string };
  const ranking = ratedAt === undefined ? row : { ...row, ratedAt };
  return { line, key: candidatesKey(ranking), ranking };
}

function isRanking(line: string): boolean {
  const { completions, ranks } = parse(line) as { readonly completions?: unknown; readonly ranks?: unknown };
  return Array.isArray(completions) && Array.isArray(ranks) && ranks.length === completions.length;
}

function parse(line: string): object {
  try {
    return (JSON.parse(line) as object | null) ?? {};
  } catch {
    return {};
  }
}
