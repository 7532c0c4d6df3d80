import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ApiError } from "./api-error.ts";
import { EventQueue } from "./event-queue.ts";
import { eventStream } from "./sse.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function make(items: AsyncIterable<object>) {
  const abort = new AbortController();
  let closed = 0;
  const close = (): void => {
    closed += 1;
  };
  const stream = eventStream(items, {
    signal: abort.signal,
    close,
    defect: () => new ApiError(500, "the answer failed"),
  });
  return { abort, stream, closed: () => closed };
}

test("items, the end, and one call when it is over", async () => {
  const queue = new EventQueue<object>();
  const { stream, closed } = make(queue);
  queue.push({ a: 1 });
  queue.push({ b: "\n\n" });
  queue.end();
  expect(await new Response(stream).text()).toBe('data: {"a":1}\n\ndata: {"b":"\\n\\n"}\n\ndata: [DONE]\n\n');
  expect([closed(), vi.getTimerCount()]).toEqual([1, 0]);
});

test("a failure midway is said in the stream; one that was not foreseen without its reason", async () => {
  for (const [error, message] of [
    [new ApiError(503, "stops"), "stops"],
    [new Error("secret"), "the answer failed"],
  ] as const) {
    const queue = new EventQueue<object>();
    const { stream } = make(queue);
    queue.push({ a: 1 });
    queue.end(error);
    const text = await new Response(stream).text();
    expect(text).toContain(`data: {"error":{"message":"${message}"`);
    expect(text.endsWith("\n\ndata: [DONE]\n\n")).toBe(true);
    expect(text).not.toContain("secret");
  }
});

test("a silence is filled with pings", async () => {
  const queue = new EventQueue<object>();
  const { stream } = make(queue);
  const text = new Response(stream).text();
  await vi.advanceTimersByTimeAsync(31_000);
  queue.end();
  expect(await text).toBe(": ping\n\n: ping\n\ndata: [DONE]\n\n");
});

test("whoever goes is noticed once, whichever way", async () => {
  const aborted = make(new EventQueue<object>());
  aborted.abort.abort();
  aborted.abort.abort();
  const cancelled = make(new EventQueue<object>());
  await cancelled.stream.cancel();
  cancelled.abort.abort();
  expect([aborted.closed(), cancelled.closed(), vi.getTimerCount()]).toEqual([1, 1, 0]);
  const gone = new AbortController();
  gone.abort();
  let closed = false;
  const close = (): void => {
    closed = true;
  };
  eventStream(new EventQueue<object>(), { signal: gone.signal, close, defect: () => new ApiError(500, "") });
  expect(closed).toBe(true);
});

test("a reader that takes nothing is given up when a megabyte waits", async () => {
  const queue = new EventQueue<object>();
  const { stream, closed } = make(queue);
  const piece = { text: "a".repeat(100_000) };
  for (let i = 0; i < 10; i++) queue.push(piece);
  await vi.advanceTimersByTimeAsync(0);
  expect(closed()).toBe(0);
  for (let i = 0; i < 2; i++) queue.push(piece);
  await vi.advanceTimersByTimeAsync(0);
  expect(closed()).toBe(1);
  await expect(new Response(stream).text()).rejects.toThrow("too slow");
});
