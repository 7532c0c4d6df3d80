import type { RequestOptions } from "./api.ts";
import { request } from "./api.ts";

/** One server-sent event. */
export interface ServerEvent {
  /** "message" where the server gave no other. */
  readonly type: string;
  readonly data: string;
  /** The newest id that the stream had; "" before the first. */
  readonly id: string;
}

/**
 * The events of an answer, as they come: what `EventSource` does, with a key and with POST, until the stream ends or `signal`
 * is aborted (which ends it silently).
 *
 * @throws {RequestError} when the request fails.
 */
export async function* serverEvents(path: string, options: RequestOptions = {}): AsyncGenerator<ServerEvent> {
  try {
    const { body } = await request(path, options);
    if (body === null) return;
    let id = "";
    for await (const lines of blocks(body.pipeThrough(new TextDecoderStream()))) {
      const event = eventOf(lines, id);
      id = event.id;
      if (event.data !== null) yield { type: event.type, data: event.data, id };
    }
  } catch (error) {
    if (!options.signal?.aborted) throw error;
  }
}

/** Groups of lines between empty ones; an incomplete one at the end is left out. */
async function* blocks(stream: ReadableStream<string>): AsyncGenerator<string[]> {
  const reader = stream.getReader();
  try {
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop() ?? "";
      for (const part of parts) yield part.split("\n");
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function eventOf(lines: readonly string[], lastId: string): { type: string; data: string | null; id: string } {
  let [type, id] = ["message", lastId];
  const data: string[] = [];
  for (const line of lines) {
    const [, field, value = ""] = /^([^:]+)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === "event") type = value;
    else if (field === "id") id = value;
    else if (field === "data") data.push(value);
  }
  return { type, data: data.length === 0 ? null : data.join("\n"), id };
}
