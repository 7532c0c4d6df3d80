import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SaveClock } from "./save-clock.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => void vi.useRealTimers());

test("a checkpoint is due so many minutes after the last one", () => {
  const clock = new SaveClock(5);
  vi.advanceTimersByTime(299_999);
  expect(clock.isDue).toBe(false);
  vi.advanceTimersByTime(1);
  expect(clock.isDue).toBe(true);
  clock.restart();
  expect(clock.isDue).toBe(false);
});

test("0 minutes is never", () => {
  const clock = new SaveClock(0);
  vi.advanceTimersByTime(1e9);
  expect(clock.isDue).toBe(false);
});
