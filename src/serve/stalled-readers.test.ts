import { EventEmitter } from "node:events";
import type { Server } from "node:http";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { endStalledReaders } from "./stalled-readers.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

class FakeSocket extends EventEmitter {
  bytesWritten = 0;
  writableLength = 0;
  isDestroyed = false;
  destroy(): void {
    this.isDestroyed = true;
  }
}

test("who takes nothing for a minute is cut off; who takes a little, or waits for an answer, is not", () => {
  const server = new EventEmitter();
  const timer = endStalledReaders(server as Server);
  const [stalled, slow, waiting] = [new FakeSocket(), new FakeSocket(), new FakeSocket()];
  for (const socket of [stalled, slow, waiting]) server.emit("connection", socket);
  [stalled.bytesWritten, stalled.writableLength] = [500_000, 300_000];
  [slow.bytesWritten, slow.writableLength] = [500_000, 300_000];
  for (let seconds = 0; seconds < 120; seconds += 5) {
    slow.writableLength -= 1;
    vi.advanceTimersByTime(5000);
    if (seconds < 55) expect(stalled.isDestroyed).toBe(false);
  }
  expect([stalled.isDestroyed, slow.isDestroyed, waiting.isDestroyed]).toEqual([true, false, false]);
  clearInterval(timer);
});
