import type { PeerProcess } from "./peers/peer-process.ts";
import { PeerError } from "./peers/peer-process.ts";

/** One of the programs that are measured beside each other, and what it is asked at each turn. */
export interface Side<Answer> {
  /** As it is called in the table. */
  readonly name: string;
  /** Ours has to work; a peer that does not is left out with a remark. */
  readonly isOurs: boolean;
  readonly process: PeerProcess;
  /** What to ask, given the last answer; null before the first. */
  readonly command: (last: Answer | null) => object;
  /** A peer that has not answered by then is left out. */
  readonly limitSeconds?: number;
}

/** What a side answered, turn after turn. */
export interface Measured<Answer> {
  readonly side: Side<Answer>;
  readonly answers: readonly Answer[];
}

/**
 * Asks every side once a round. All processes are alive at once and wait while another one works, so that whatever
 * the machine does meanwhile happens to all; the order turns round from one round to the next. Ends the processes.
 *
 * @param leftOut is told why a peer does not take part.
 * @param measureMachine has its turn at the start of every round, while all processes wait.
 * @throws {PeerError} when our own side fails.
 */
export async function takeTurns<Answer>(
  sides: readonly Side<Answer>[],
  rounds: number,
  leftOut: (reason: string) => void,
  measureMachine: () => void = () => {},
): Promise<Measured<Answer>[]> {
  const answers = new Map<Side<Answer>, Answer[]>(sides.map((side) => [side, []]));
  try {
    for (let round = 0; round < rounds; round++) {
      measureMachine();
      const present = [...answers.keys()];
      for (const side of round % 2 === 0 ? present : present.toReversed()) {
        const answer = await answerOf(side, answers.get(side)?.at(-1) ?? null, leftOut);
        if (answer === null) answers.delete(side);
        else answers.get(side)?.push(answer);
      }
    }
  } finally {
    for (const { process } of sides) process.close();
  }
  return [...answers].map(([side, all]) => ({ side, answers: all }));
}

/** An answer, or null from a peer that fails. */
async function answerOf<Answer>(
  { name, isOurs, process, command, limitSeconds }: Side<Answer>,
  last: Answer | null,
  leftOut: (reason: string) => void,
): Promise<Answer | null> {
  try {
    return await process.ask<Answer>(command(last), limitSeconds);
  } catch (error) {
    if (isOurs || !(error instanceof PeerError)) throw error;
    leftOut(`${name}: ${error.message}`);
    process.close();
    return null;
  }
}
