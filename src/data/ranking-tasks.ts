import { DataError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import type { ChatMessage } from "../text/chat-message.ts";
import type { BadRows } from "./bad-rows.ts";
import type { JsonlRow } from "./jsonl.ts";
import type { Candidates, RankingFile } from "./ranking-file.ts";
import { readRecords } from "./records.ts";

/**
 * Prompts with their answers, as `stemma sample` writes them; those whose answers are all the same are left out.
 *
 * @throws {DataError} when no row can be used.
 */
export async function readCandidates(path: string, bad: BadRows): Promise<Candidates[]> {
  const all: Candidates[] = [];
  for await (const row of readRecords([path], bad)) {
    const candidates = bad.attempt(() => candidatesOf(row));
    if (candidates) all.push(candidates);
  }
  bad.refuseNone(all.length);
  return all.filter(({ completions }) => new Set(completions).size > 1);
}

function candidatesOf({ where, value: { prompt, completions, models } }: JsonlRow): Candidates {
  const isPrompt = typeof prompt === "string" || (Array.isArray(prompt) && prompt.every(isMessage));
  if (!isPrompt || !isTexts(completions) || completions.length < 2) {
    throw new DataError(`${where}: must have "prompt" and at least 2 "completions"; make the file with stemma sample`);
  }
  const areKnown = isTexts(models) && models.length === completions.length;
  return { prompt, completions, ...(areKnown ? { models } : {}) };
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

function isMessage(value: unknown): value is ChatMessage {
  const { role, content } = (value ?? {}) as Partial<ChatMessage>;
  return typeof role === "string" && typeof content === "string";
}

/**
 * The order in which answers are shown: numbers from 0, the first shown first. It follows from the seed; another time
 * the same answers are in another order.
 *
 * @param attempt - How often they were ranked before.
 */
export function shownOrder(seed: number, index: number, count: number, attempt = 0): Uint32Array {
  const first = new Random(seed).child(index);
  return (attempt === 0 ? first : first.child(attempt)).permutation(count);
}

/** Who ranks, and when. */
export interface Rater {
  /** Empty where nobody said. */
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Every so many prompts, one is ranked twice, to see how far people agree. */
const everyTenth = 10;
/** After so long one has forgotten what one said. */
const dayMs = 24 * 3600 * 1000;

/**
 * Whether somebody should rank answers now: nobody has, or they are those of every tenth prompt and were ranked once, by
 * somebody else or a day ago.
 */
export function isOpenTo({ name, now }: Rater, candidates: Candidates, index: number, file: RankingFile): boolean {
  const [first, ...more] = file.ratingsOf(candidates);
  if (first === undefined) return true;
  if (more.length > 0 || index % everyTenth !== 0) return false;
  const at = Date.parse(first.ratedAt ?? "");
  return (first.rater ?? "") === name ? now - at >= dayMs : true;
}
