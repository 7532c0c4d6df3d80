/** How long work goes on without handing over to the event loop, in milliseconds. */
const intervalMs = 10;

let lastTurn = performance.now();

/**
 * Lets the event loop turn once: timers, signals, sockets and everything else that waits is served before this resolves.
 * A chain of awaits on values that are there never does so by itself, however long it is.
 */
export async function turnEventLoop(): Promise<void> {
  lastTurn = performance.now();
  await new Promise<void>(inNextTurn);
  lastTurn = performance.now();
}

/**
 * {@link turnEventLoop}, but no more often than is noticed and costs nothing: only when 10 ms have passed.
 *
 * @param since - When the work began that others wait behind, as `performance.now()` says; default: the last turn.
 */
export async function turnEventLoopWhenDue(since = lastTurn): Promise<void> {
  if (performance.now() - since >= intervalMs) await turnEventLoop();
}

/** Work in short steps, between which others may have their turn. */
export type Steps<Result> = Generator<void, Result, void>;

/** Items that are one step: what is done with each may take some microseconds. */
const itemsOfStep = 256;

/** Does the same with item after item, a few hundred a step. */
export function* visiting<Item>(items: Iterable<Item>, visit: (item: Item) => void): Steps<void> {
  let count = 0;
  for (const item of items) {
    visit(item);
    count += 1;
    if (count % itemsOfStep === 0) yield;
  }
}

/** Does all steps without a pause. */
export function inOneGo<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/**
 * Does all steps and lets the event loop turn between them, as {@link turnEventLoopWhenDue} does.
 *
 * @throws {unknown} the reason of `signal` when that is aborted.
 */
export async function inTurns<Result>(steps: Steps<Result>, signal?: AbortSignal): Promise<Result> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    if (performance.now() - lastTurn < intervalMs) continue; // no promise for each of a million steps
    await turnEventLoop();
    signal?.throwIfAborted();
  }
}

/**
 * What to catch with where work was stopped: null for the reason of an aborted signal.
 *
 * @throws {unknown} whatever else the error is.
 */
export function nullIfAborted(error: unknown, signal?: AbortSignal): null {
  if (signal?.aborted && error === signal.reason) return null;
  throw error;
}

/** A browser has no `setImmediate`, and makes nested timers wait. */
const inNextTurn: (resolve: () => void) => void = "setImmediate" in globalThis ? setImmediate : postMessageToItself();

function postMessageToItself(): (resolve: () => void) => void {
  const { port1, port2 } = new MessageChannel();
  const waiting: (() => void)[] = [];
  port1.addEventListener("message", () => waiting.shift()?.());
  port1.start();
  return (resolve) => {
    waiting.push(resolve);
    port2.postMessage(null);
  };
}
