import { setTimeout as pause } from "node:timers/promises";
import { UnsupportedError } from "../core/errors.ts";

/** How long, how large and how often. */
export interface PostLimits {
  /** For one answer, from the request to its last byte. */
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

/** A server may ask for this much patience, at most. */
const longestDelayMs = 60_000;

/**
 * Posts JSON; asks again, later, where the server is busy or fails.
 *
 * @throws {UnsupportedError} naming the address, when it cannot be reached, takes too long, or answers too much.
 * @throws {unknown} the reason of `signal` when that is aborted.
 */
export async function postJson(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: object,
  limits: PostLimits,
): Promise<PostAnswer> {
  const request = {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  };
  for (let attempts = 1; ; attempts++) {
    const response = await attempt(url, request, limits);
    if (!isBusy(response.status) || attempts > limits.retries) {
      return { status: response.status, text: response.text, attempts };
    }
    const own = limits.retryDelayMs * 2 ** (attempts - 1);
    const delay = Math.min(response.retryAfterMs ?? own, longestDelayMs);
    await pause(delay, null, { signal: limits.signal }).catch(() => limits.signal?.throwIfAborted());
  }
}

function isBusy(status: number): boolean {
  return status === 429 || status >= 500;
}

async function attempt(
  url: string,
  request: RequestInit,
  { timeoutMs, bytes, signal: stop }: PostLimits,
): Promise<{ status: number; text: string; retryAfterMs: number | null }> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = stop === undefined ? timeout : AbortSignal.any([timeout, stop]);
  const failed = (what: string, error: unknown): unknown => {
    if (stop?.aborted) return stop.reason;
    if (error instanceof UnsupportedError) return error;
    if (timeout.aborted) {
      return new UnsupportedError(
        `${url}: gave no whole answer within ${timeoutMs / 1000} s; look at the server, or raise --timeout-seconds`,
        { cause: error },
      );
    }
    const reason = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    const message = `${url}: ${what} (${reason}); check the address and that the server runs`;
    return new UnsupportedError(message, { cause: error });
  };
  const response = await fetch(url, { ...request, signal }).catch((error: unknown) => {
    throw failed("cannot be reached", error);
  });
  const text = await readText(url, response, bytes).catch((error: unknown) => {
    throw failed("its answer broke off", error);
  });
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  return { status: response.status, text, retryAfterMs: seconds >= 0 ? seconds * 1000 : null };
}

async function readText(url: string, response: Response, most: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > most) {
      await response.body?.cancel().catch(() => {});
      throw new UnsupportedError(
        `${url}: answers more than ${Math.round(most / 2 ** 20)} MB; is it an OpenAI-compatible server?`,
      );
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

/** The results of a function for all items in order, of which at most `count` are in work at a time. */
export async function mapConcurrently<Item, Result>(
  items: readonly Item[],
  count: number,
  of: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const out = new Array<Result>(items.length);
  let [next, isFailed] = [0, false];
  const work = async (): Promise<void> => {
    while (next < items.length && !isFailed) {
      const index = next++;
      try {
        out[index] = await of(items[index] as Item, index);
      } catch (error) {
        isFailed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, items.length) }, work));
  return out;
}
