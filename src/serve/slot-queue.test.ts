import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ApiError } from "./api-error.ts";
import { SlotQueue } from "./slot-queue.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

interface Made {
  readonly queue: SlotQueue;
  /** Names of what was started, in order. */
  readonly started: string[];
  readonly refused: [name: string, status: number, code: string | null | undefined][];
  enter(name: string, owner?: string, sequences?: number, tokens?: number): () => void;
}

function make(slots: number, queue: number, hasKeys = false, pace = 10, isOpen = () => true): Made {
  const made = new SlotQueue({ slots, queue, hasKeys }, () => pace, isOpen);
  const [started, refused]: [string[], Made["refused"]] = [[], []];
  return {
    ...{ queue: made, started, refused },
    enter: (name, owner = "anyone", sequences = 1, tokens = 20) =>
      made.enter([
        {
          ...{ owner, sequences, tokens, start: () => void started.push(name) },
          refuse: (error) => void refused.push([name, error.status, error.details.code]),
        },
      ]),
  };
}

function refusal(act: () => void): Partial<ApiError["details"]> & { status: number } {
  try {
    act();
  } catch (error) {
    const { status, details } = error as ApiError;
    return { status, ...details };
  }
  throw new Error("was not refused");
}

test("two more than there are slots are sent ahead, the others wait in their order", () => {
  const { queue, started, enter } = make(2, 10);
  for (const name of "abcdefg") enter(name);
  expect(started.join("")).toBe("abcd");
  expect([queue.running, queue.waiting]).toEqual([4, 3]);
  queue.leave("anyone");
  queue.leave("anyone");
  expect(started.join("")).toBe("abcdef");
});

test("owners take turns", () => {
  const { queue, started, enter } = make(1, 20, true);
  for (const name of ["a1", "a2", "a3", "a4", "a5", "a6"]) enter(name, "a");
  for (const name of ["b1", "b2"]) enter(name, "b");
  expect(started).toEqual(["a1", "a2", "a3"]);
  for (const owner of ["a", "a", "a", "b"]) queue.leave(owner);
  expect(started.slice(3)).toEqual(["a4", "b1", "a5", "b2"]);
});

test("a full queue says when to come again: the tokens that wait by tokens a second, from 1 to 60", () => {
  const fast = make(1, 2, false, 10);
  for (const name of "abcde") fast.enter(name, "anyone", 1, 45);
  expect(refusal(() => fast.enter("f"))).toMatchObject({ status: 429, code: "queue_full", retryAfter: 9 });
  expect(refusal(() => fast.queue.refuseIfFull())).toMatchObject({ status: 429, code: "queue_full" });
  const slow = make(1, 2, false, 0);
  for (const name of "abcde") slow.enter(name, "anyone", 1, 1e6);
  expect(refusal(() => slow.enter("f"))).toMatchObject({ retryAfter: 60 });
});

test("of one key 16 wait beside the 8 that run; without keys the queue alone counts", () => {
  const { started, enter } = make(32, 100, true);
  for (let i = 0; i < 24; i++) enter(`a${i}`, "a");
  expect(started).toHaveLength(8);
  expect(refusal(() => enter("a24", "a"))).toMatchObject({ status: 429, code: "key_limit" });
  enter("b0", "b");
  expect(started).toHaveLength(9);
  const open = make(32, 100);
  for (let i = 0; i < 100; i++) open.enter(String(i));
  expect(open.started).toHaveLength(34);
});

test("what can never fit is refused for good", () => {
  const { enter } = make(2, 4);
  expect(refusal(() => enter("a", "anyone", 7))).toMatchObject({ status: 400, param: "n", code: "too_many_answers" });
  enter("b", "anyone", 6);
});

test("more sequences than slots go alone, and no one goes past them", () => {
  const { queue, started, enter } = make(2, 20);
  enter("a", "anyone", 3);
  enter("b", "anyone", 8);
  enter("c");
  expect(started).toEqual(["a"]);
  queue.leave("anyone", 3);
  expect(started).toEqual(["a", "b"]);
  queue.leave("anyone", 8);
  expect(started).toEqual(["a", "b", "c"]);
});

test("who is taken back is never started, and no timer is left", () => {
  const { queue, started, enter } = make(1, 10);
  for (const name of "abc") enter(name);
  const takeBack = enter("d");
  takeBack();
  takeBack();
  expect([queue.waiting, vi.getTimerCount()]).toEqual([0, 0]);
  queue.leave("anyone");
  expect(started.join("")).toBe("abc");
});

test("a minute is the longest that anyone waits, also for a model that is being opened", () => {
  const { enter, refused } = make(1, 10);
  for (const name of "abcd") enter(name);
  vi.advanceTimersByTime(60_000);
  expect(refused).toEqual([["d", 503, "queue_timeout"]]);
  const closed = make(1, 10, false, 10, () => false);
  closed.enter("a");
  vi.advanceTimersByTime(60_000);
  expect(closed.refused).toEqual([["a", 503, "loading"]]);
});
