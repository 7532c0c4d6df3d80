import { createHash } from "node:crypto";
import type { Candidates, RankingFile } from "../../data/ranking-file.ts";
import { candidatesKey } from "../../data/ranking-file.ts";
import { isOpenTo, shownOrder } from "../../data/ranking-tasks.ts";
import type { ChatMessage } from "../../text/chat-message.ts";
import { ApiError } from "../api-error.ts";

/** Prompts with answers that people order. */
export interface RankingTask {
  readonly name: string;
  readonly all: readonly Candidates[];
}

/** Answers as they are shown to somebody, who is not told where they come from. */
export interface Question {
  /** What a ranking of them comes back with: which answers these are, and in which order they were shown. */
  readonly ticket: string;
  /** Place of the prompt in its task, from 0. */
  readonly index: number;
  readonly prompt: readonly ChatMessage[];
  readonly answers: readonly string[];
  /** Whether somebody ranked them before. */
  readonly isSecond: boolean;
}

/** Which answers a ticket is for. */
export interface Ticket {
  readonly index: number;
  readonly candidates: Candidates;
  /** How often they were ranked before. */
  readonly attempt: number;
  /** Numbers of the answers in the order on screen. */
  readonly order: readonly number[];
}

/** Who asks for a question. */
export interface Asker {
  readonly rater: string;
  /** Names the page that is open: two people need not give names. */
  readonly page: string;
  readonly now: number;
}

/** The order of answers follows from this; it is that of `stemma rank` without `--seed`. */
const seed = 1;
/** So long nobody else is shown what one is looking at. */
const leaseMs = 10 * 60 * 1000;

/** What a page shows, and until when nobody else is shown it. */
interface Lease {
  readonly place: string;
  readonly until: number;
}

/** Hands out questions: not the same one to two people at a time. */
export class Questions {
  /** By page: the question that it shows. */
  readonly #leases = new Map<string, Lease>();

  /** The first question from a place on that is open to somebody; null when there is none. */
  next({ name, all }: RankingTask, file: RankingFile, asker: Asker, from: number): Question | null {
    const { rater, page, now } = asker;
    for (const [other, { until }] of this.#leases) if (other === page || until <= now) this.#leases.delete(other);
    const lent = new Set([...this.#leases.values()].map(({ place }) => place));
    const index = all.findIndex((candidates, i) => {
      return i >= from && !lent.has(`${name}\n${i}`) && isOpenTo({ name: rater, now }, candidates, i, file);
    });
    const candidates = all[index];
    if (candidates === undefined) return null;
    this.#leases.set(page, { place: `${name}\n${index}`, until: now + leaseMs });
    const attempt = file.ratingsOf(candidates).length;
    const order = shownOrder(seed, index, candidates.completions.length, attempt);
    return {
      ticket: `${index}.${attempt}.${digestOf(candidates)}`,
      index,
      prompt: messagesOf(candidates),
      answers: Array.from(order, (answer) => candidates.completions[answer] ?? ""),
      isSecond: attempt > 0,
    };
  }

  /** Somebody has answered a question: it may be shown to others. */
  answered({ name }: RankingTask, index: number): void {
    const own = [...this.#leases].find(([, { place }]) => place === `${name}\n${index}`);
    if (own) this.#leases.delete(own[0]);
  }
}

/**
 * What a ticket is for.
 *
 * @throws {ApiError} 400 when it is none, 409 when the answers are others now.
 */
export function readTicket(ticket: string, { name, all }: RankingTask): Ticket {
  const [, place, count, digest] = /^(\d{1,9})\.(\d{1,6})\.([0-9a-f]{16})$/.exec(ticket) ?? [];
  const [index, attempt] = [Number(place), Number(count)];
  const candidates = all[index];
  if (digest === undefined || candidates === undefined) {
    throw new ApiError(400, "ticket: is none of this server; ask for the next question", { param: "ticket" });
  }
  if (digest !== digestOf(candidates)) {
    const message = `ticket: the answers of ${name} are others than those that were shown; ask for the next question`;
    throw new ApiError(409, message, { param: "ticket", code: "changed" });
  }
  return { index, candidates, attempt, order: [...shownOrder(seed, index, candidates.completions.length, attempt)] };
}

/** The prompt as messages. */
export function messagesOf({ prompt }: Candidates): readonly ChatMessage[] {
  return typeof prompt === "string" ? [{ role: "user", content: prompt }] : prompt;
}

function digestOf(candidates: Candidates): string {
  return createHash("sha256").update(candidatesKey(candidates)).digest("hex").slice(0, 16);
}
