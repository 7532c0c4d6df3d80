import { expect, test, vi } from "vitest";
import { inOneGo, inTurns, turnEventLoop, turnEventLoopWhenDue, visiting } from "./event-loop.ts";

test("a turn serves timers that wait", async () => {
  let ticks = 0;
  const timer = setInterval(() => (ticks += 1), 1);
  while (ticks < 3) await turnEventLoop(); // a chain of microtasks would go on for ever
  clearInterval(timer);
  expect(ticks).toBeGreaterThanOrEqual(3);
});

test("a turn is due after 10 ms, or when so much has passed since a moment given", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  try {
    await turnEventLoop();
    let turned = false;
    setImmediate(() => (turned = true));
    vi.advanceTimersByTime(9);
    await turnEventLoopWhenDue();
    expect(turned).toBe(false);
    await turnEventLoopWhenDue(performance.now() - 10);
    expect(turned).toBe(true);

    turned = false;
    setImmediate(() => (turned = true));
    vi.advanceTimersByTime(10);
    await turnEventLoopWhenDue();
    expect(turned).toBe(true);
  } finally {
    vi.useRealTimers();
  }
});

test("without setImmediate, as in a browser, a message to itself does the same", async () => {
  vi.stubGlobal("setImmediate", undefined);
  Reflect.deleteProperty(globalThis, "setImmediate");
  vi.resetModules();
  try {
    const { turnEventLoop: turn } = await import("./event-loop.ts");
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), 1);
    while (ticks < 2) await turn();
    clearInterval(timer);
    expect(ticks).toBeGreaterThanOrEqual(2);
  } finally {
    vi.unstubAllGlobals();
  }
});

function* counting(to: number): Generator<void, number, void> {
  for (let i = 0; i < to; i++) yield;
  return to;
}

test("steps are done in one go, or with turns in between that a signal is heard in", async () => {
  expect(inOneGo(counting(5))).toBe(5);
  expect(await inTurns(counting(5))).toBe(5);
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error("enough")), 1);
  await expect(inTurns(counting(Number.POSITIVE_INFINITY), stop.signal)).rejects.toThrow("enough");
});

test("items are visited in their order, some hundred a step", () => {
  const seen: number[] = [];
  const items = Array.from({ length: 1000 }, (_, i) => i);
  const steps = visiting(items, (item) => seen.push(item));
  steps.next();
  expect(seen).toHaveLength(256);
  inOneGo(steps);
  expect(seen).toEqual(items);
});
