import { ApiError } from "./api-error.ts";
import { mostUnread, patience } from "./limits.ts";

/** Who reads a stream, and what is to be done when it is over. */
export interface StreamReader {
  /** Is aborted when the client goes. */
  readonly signal: AbortSignal;
  /** Is called once, whatever the stream ends by. */
  readonly close: () => void;
  /** Is told of an error that was not foreseen. */
  readonly defect: (error: unknown) => ApiError;
}

/** Headers of an answer that comes piece by piece, and that nobody on the way is to hold back. */
export const streamHeaders = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "x-accel-buffering": "no",
} as const;

const encoder = new TextEncoder();

/** An event with a type, and with the id that a reader who lost the stream goes on from. */
export interface TypedEvent {
  readonly type: string;
  readonly id: string;
  readonly data: object;
}

/** A typed event as it is sent. Neither its type nor its id may have line breaks. */
export function typedEvent({ type, id, data }: TypedEvent): string {
  return `event: ${type}\nid: ${id}\n${dataLine(data)}`;
}

/**
 * Server-sent events: a line of JSON for each item, or what `write` makes of it, `[DONE]` at the end. A failure midway is an item with its error. A reader
 * that takes nothing while a megabyte waits for it is given up.
 */
export function eventStream<Item extends object>(
  items: AsyncIterable<Item>,
  reader: StreamReader,
  write: (item: Item) => string = dataLine,
): ReadableStream<Uint8Array> {
  let isOver = false;
  let ping: NodeJS.Timeout | undefined;
  const cleanUp = (): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(ping);
    reader.signal.removeEventListener("abort", cleanUp);
    reader.close();
  };
  const start = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    const send = (text: string): void => {
      if (isOver) return;
      controller.enqueue(encoder.encode(text));
      clearTimeout(ping);
      ping = setTimeout(send, patience.pingMs, ": ping\n\n");
      if (-(controller.desiredSize ?? 0) <= mostUnread) return;
      cleanUp();
      controller.error(new Error("the reader is too slow"));
    };
    ping = setTimeout(send, patience.pingMs, ": ping\n\n");
    reader.signal.addEventListener("abort", cleanUp, { once: true });
    if (reader.signal.aborted) cleanUp();
    void sendAll(textsOf(items, write), send, reader).then(() => {
      const isWhole = !isOver;
      cleanUp();
      if (isWhole) controller.close();
    });
  };
  return new ReadableStream({ start, cancel: cleanUp }, new ByteLengthQueuingStrategy({ highWaterMark: 0 }));
}

async function* textsOf<Item>(items: AsyncIterable<Item>, write: (item: Item) => string): AsyncGenerator<string> {
  for await (const item of items) yield write(item);
}

/** Never fails: whatever happens is said in the stream. */
async function sendAll(
  texts: AsyncIterable<string>,
  send: (text: string) => void,
  reader: StreamReader,
): Promise<void> {
  try {
    for await (const text of texts) send(text);
  } catch (error) {
    send(dataLine((error instanceof ApiError ? error : reader.defect(error)).body));
  }
  send("data: [DONE]\n\n");
}

function dataLine(item: object): string {
  return `data: ${JSON.stringify(item)}\n\n`;
}
