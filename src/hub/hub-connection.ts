import { setTimeout as pause } from "node:timers/promises";
import { NetworkError } from "../core/errors.ts";
import { Interruption, refusalOf } from "./hub-refusal.ts";
import type { HubSettings } from "./hub-settings.ts";

/** How long and how often. */
export interface HubPatience {
  /** Until an answer begins; half a minute unless given. */
  readonly answerMs?: number;
  /** Between two pieces of an answer; a minute unless given. */
  readonly idleMs?: number;
  /** Further attempts in a row that get nowhere; 4 unless given. */
  readonly retries?: number;
  /** Before the first of them, and twice as long before each that follows; half a second unless given. */
  readonly retryDelayMs?: number;
}

/** A server may ask for this much patience, at most. */
const longestDelayMs = 60_000;
const mostRedirects = 8;
/** No list of files is longer. */
const longestText = 64 * 2 ** 20;

/** An answer that has begun. */
export interface HubAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Of the hub's own last answer, which may have led to another server: only it knows commit and checksum. */
  readonly ownHeaders: Headers;
  /** Server that gave it: `https://host`. */
  readonly origin: string;
  /** Its body as it comes. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Ends it, read or not. */
  close(): Promise<void>;
}

/**
 * Asks the hub and the servers it leads to. The token is sent to the hub only. Redirects are followed here rather than
 * by `fetch`, since the answer that redirects is the one with the checksum.
 */
export class HubConnection {
  readonly settings: HubSettings;
  readonly signal: AbortSignal | undefined;
  readonly retries: number;
  readonly #patience: Required<HubPatience>;

  constructor(settings: HubSettings, patience: HubPatience = {}, signal?: AbortSignal) {
    this.settings = settings;
    this.signal = signal;
    this.#patience = { answerMs: 30_000, idleMs: 60_000, retries: 4, retryDelayMs: 500, ...patience };
    this.retries = this.#patience.retries;
  }

  /**
   * One attempt.
   *
   * @param where - What messages are about: `ORG/NAME`.
   * @param headersFor - Further headers for a server, by its origin.
   * @throws {Interruption} when it may go better the next time.
   * @throws {NetworkError} when it will not.
   */
  async open(
    where: string,
    url: string,
    headersFor: (origin: string) => Readonly<Record<string, string>> = () => ({}),
  ): Promise<HubAnswer> {
    const own = new URL(this.settings.endpoint).origin;
    let ownHeaders = new Headers();
    let next = new URL(url);
    for (let redirects = 0; redirects <= mostRedirects; redirects++) {
      const { origin } = next;
      const isOwn = origin === own;
      const { response, watch } = await this.#ask(where, next, { ...headersFor(origin), ...this.#credentials(isOwn) });
      if (isOwn) ownHeaders = response.headers;
      const target = response.headers.get("location");
      if (response.status < 300 || response.status === 416) {
        const { status, headers } = response;
        const reader = (response.body ?? new Blob([]).stream()).getReader();
        const close = async (): Promise<void> => {
          watch.end();
          await reader.cancel().catch(() => {});
        };
        return { status, headers, ownHeaders, origin, close, chunks: this.#chunks(where, next.host, reader, watch) };
      }
      watch.end();
      await response.body?.cancel().catch(() => {});
      if (response.status >= 400) throw refusalOf(where, response, this.settings);
      next = this.#redirected(where, next, target);
    }
    throw new NetworkError(`${where}: ${this.settings.endpoint} leads in circles; check HF_ENDPOINT`);
  }

  /** The whole of a text, asked for again while that may help. */
  async text(where: string, url: string): Promise<{ text: string; headers: Headers }> {
    for (let failures = 1; ; failures++) {
      try {
        const answer = await this.open(where, url);
        return { text: await wholeText(where, answer), headers: answer.headers };
      } catch (error) {
        if (!(error instanceof Interruption) || failures > this.retries) throw error;
        await this.pause(failures, error);
      }
    }
  }

  /** Waits after the failure of so many attempts in a row. */
  async pause(failures: number, { retryAfterMs }: Interruption): Promise<void> {
    const own = this.#patience.retryDelayMs * 2 ** (failures - 1);
    const options = this.signal === undefined ? {} : { signal: this.signal };
    await pause(Math.min(retryAfterMs ?? own, longestDelayMs), null, options).catch(() =>
      this.signal?.throwIfAborted(),
    );
  }

  #credentials(isOwn: boolean): Record<string, string> {
    const { token } = this.settings;
    return isOwn && token !== null ? { authorization: `Bearer ${token}` } : {};
  }

  #redirected(where: string, from: URL, target: string | null): URL {
    const url = target !== null && URL.canParse(target, from.href) ? new URL(target, from) : null;
    if (url !== null && /^https?:$/.test(url.protocol) && !(from.protocol === "https:" && url.protocol === "http:")) {
      return url;
    }
    throw new NetworkError(`${where}: ${from.host} leads to no address (${target}); check HF_ENDPOINT`);
  }

  async #ask(where: string, url: URL, headers: Readonly<Record<string, string>>) {
    this.signal?.throwIfAborted();
    const { answerMs, idleMs } = this.#patience;
    const watch = new Watch(answerMs, idleMs);
    const signal = this.signal === undefined ? watch.signal : AbortSignal.any([watch.signal, this.signal]);
    try {
      // Compressed, a part of a file and its length would mean something else.
      const asked = { "user-agent": "stemma", "accept-encoding": "identity", ...headers };
      return { response: await fetch(url, { headers: asked, redirect: "manual", signal }), watch };
    } catch (error) {
      watch.end();
      throw this.#failure(where, url.host, watch, error);
    }
  }

  async *#chunks(
    where: string,
    host: string,
    reader: ReadableStreamDefaultReader<Uint8Array>,
    watch: Watch,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      watch.expect();
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw this.#failure(where, host, watch, error);
      });
      watch.end();
      if (done) return;
      yield value;
    }
  }

  #failure(where: string, host: string, { isLate }: Watch, error: unknown): unknown {
    if (this.signal?.aborted) return this.signal.reason;
    if (error instanceof NetworkError) return error;
    if (isLate) {
      return new Interruption(`${where}: ${host} has not answered for a while; run it again to go on`, {
        cause: error,
      });
    }
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const reason = cause instanceof Error ? ("code" in cause ? String(cause.code) : cause.message) : String(cause);
    return new Interruption(
      `${where}: ${host} cannot be reached, or broke off (${reason}); check the network and HF_ENDPOINT, and run it again`,
      { cause: error },
    );
  }
}

async function wholeText(where: string, answer: HubAnswer): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of answer.chunks) {
      size += chunk.length;
      if (size > longestText) throw new NetworkError(`${where}: the hub's answer has no end; check HF_ENDPOINT`);
      parts.push(chunk);
    }
  } finally {
    await answer.close();
  }
  return Buffer.concat(parts).toString("utf8");
}

/** Ends a request whose answer does not begin, or does not go on, in time. */
class Watch {
  readonly #controller = new AbortController();
  readonly #idleMs: number;
  #timer: NodeJS.Timeout;
  isLate = false;

  constructor(answerMs: number, idleMs: number) {
    this.#idleMs = idleMs;
    this.#timer = setTimeout(this.#end, answerMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The next piece has to come in time. */
  expect(): void {
    this.end();
    this.#timer = setTimeout(this.#end, this.#idleMs);
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  readonly #end = (): void => {
    this.isLate = true;
    this.#controller.abort();
  };
}
