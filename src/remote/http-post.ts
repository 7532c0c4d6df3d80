import { setTimeout as pause } from "node:timers/promises";
import { NetworkError } from "../core/errors.ts";

/** How long, how large and how often. */
export interface PostLimits {
  /** For one answer, from the request to its last byte; of one that comes in pieces, from each to the next. */
  readonly timeoutMs: number;
  /** Of one answer. */
  readonly bytes: number;
  /** Further attempts after an answer 429 or 5xx. */
  readonly retries: number;
  /** Before the first of them; each later one waits twice as long, or as long as the server says. */
  readonly retryDelayMs: number;
  /** Ends the request, with its reason as the error. */
  readonly signal?: AbortSignal | undefined;
}

/** An answer of a server. */
export interface PostAnswer {
  readonly status: number;
  readonly text: string;
  /** Attempts that were made. */
  readonly attempts: number;
}

/** A success whose text comes in pieces. */
export interface PiecesAnswer {
  /** As the server says what it is. */
  readonly contentType: string;
  readonly pieces: AsyncIterable<string>;
}

/** What is posted. */
export interface PostRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: object;
}

/** A server may ask for this much patience, at most. */
const longestDelayMs = 60_000;

/**
 * Posts JSON; asks again, later, where the server is busy or fails.
 *
 * @throws {NetworkError} naming the address, when it cannot be reached, takes too long, or answers too much.
 * @throws {unknown} the reason of `signal` when that is aborted.
 */
export function postJson(request: PostRequest, limits: PostLimits): Promise<PostAnswer> {
  return withRetries(limits, async (attempts) => {
    const timer = new Deadline(request.url, limits);
    try {
      const response = await timer.send(request);
      const text = await timer.readText(response);
      return { answer: { status: response.status, text, attempts }, response };
    } finally {
      timer.stop();
    }
  });
}

/**
 * Posts JSON and gives the text of the answer as it comes. An answer that is no success, after all attempts, comes as a
 * {@link PostAnswer} instead.
 *
 * @throws {NetworkError} as {@link postJson} does, also between two pieces.
 * @throws {unknown} the reason of `signal` when that is aborted.
 */
export function postForPieces(request: PostRequest, limits: PostLimits): Promise<PostAnswer | PiecesAnswer> {
  return withRetries<PostAnswer | PiecesAnswer>(limits, async (attempts) => {
    const timer = new Deadline(request.url, limits);
    const response = await timer.send(request);
    const contentType = response.headers.get("content-type") ?? "";
    if (response.ok) return { answer: { contentType, pieces: timer.readPieces(response) }, response };
    const text = await timer.readText(response).finally(() => timer.stop());
    return { answer: { status: response.status, text, attempts }, response };
  });
}

async function withRetries<Answer>(
  limits: PostLimits,
  attempt: (attempts: number) => Promise<{ readonly answer: Answer; readonly response: Response }>,
): Promise<Answer> {
  for (let attempts = 1; ; attempts++) {
    const { answer, response } = await attempt(attempts);
    if (!isBusy(response.status) || attempts > limits.retries) return answer;
    const own = limits.retryDelayMs * 2 ** (attempts - 1);
    const delay = Math.min(askedDelayMs(response) ?? own, longestDelayMs);
    await pause(delay, null, { signal: limits.signal }).catch(() => limits.signal?.throwIfAborted());
  }
}

function isBusy(status: number): boolean {
  return status === 429 || status >= 500;
}

/** What `Retry-After` says: seconds, or a date. */
function askedDelayMs(response: Response): number | null {
  const header = response.headers.get("retry-after");
  if (header === null) return null;
  const seconds = Number(header);
  const delay = Number.isNaN(seconds) ? Date.parse(header) - Date.now() : 1000 * seconds;
  return delay >= 0 ? delay : null;
}

/** One request under its limits of time and size. */
class Deadline {
  readonly #url: string;
  readonly #limits: PostLimits;
  readonly #late = new AbortController();
  readonly #signal: AbortSignal;
  #timer: NodeJS.Timeout | undefined;

  constructor(url: string, limits: PostLimits) {
    this.#url = url;
    this.#limits = limits;
    const { signal } = limits;
    this.#signal = signal === undefined ? this.#late.signal : AbortSignal.any([this.#late.signal, signal]);
    this.#restart();
  }

  async send({ url, headers, body }: PostRequest): Promise<Response> {
    const request = {
      ...{ method: "POST", signal: this.#signal, body: JSON.stringify(body) },
      headers: { "content-type": "application/json", ...headers },
    };
    return fetch(url, request).catch((error: unknown) => {
      this.stop();
      throw this.#failure("cannot be reached", error);
    });
  }

  async readText(response: Response): Promise<string> {
    const parts: Uint8Array[] = [];
    for await (const part of this.#parts(response)) parts.push(part);
    return Buffer.concat(parts).toString("utf8");
  }

  /** The time runs anew from each piece. Leaving the loop ends the request. */
  async *readPieces(response: Response): AsyncGenerator<string, void, undefined> {
    const decoder = new TextDecoder();
    try {
      for await (const part of this.#parts(response)) {
        this.#restart();
        const text = decoder.decode(part, { stream: true });
        if (text !== "") yield text;
      }
    } finally {
      this.stop();
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  async *#parts(response: Response): AsyncGenerator<Uint8Array, void, undefined> {
    let size = 0;
    try {
      for await (const part of response.body ?? []) {
        size += part.length;
        if (size > this.#limits.bytes) throw this.#tooMuch();
        yield part;
      }
    } catch (error) {
      throw this.#failure("its answer broke off", error);
    }
  }

  #restart(): void {
    this.stop();
    this.#timer = setTimeout(() => this.#late.abort(), this.#limits.timeoutMs);
  }

  #tooMuch(): NetworkError {
    const megabytes = Math.round(this.#limits.bytes / 2 ** 20);
    return new NetworkError(`${this.#url}: answers more than ${megabytes} MB; is it an OpenAI-compatible server?`);
  }

  #failure(what: string, error: unknown): unknown {
    const { signal: stop, timeoutMs } = this.#limits;
    if (stop?.aborted) return stop.reason;
    if (error instanceof NetworkError) return error;
    if (this.#late.signal.aborted) {
      return new NetworkError(
        `${this.#url}: gave no whole answer within ${timeoutMs / 1000} s; look at the server, or raise --timeout-seconds`,
        { cause: error },
      );
    }
    const reason = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    const message = `${this.#url}: ${what} (${reason}); check the address and that the server runs`;
    return new NetworkError(message, { cause: error });
  }
}
