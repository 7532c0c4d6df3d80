import { apiKey, askForKey } from "./api-key.svelte.ts";

/** A request that failed, in one line: what the server said, or that it did not answer. */
export class RequestError extends Error {
  override readonly name = "RequestError";
  /** Status of the answer; 0 where there was none. */
  readonly status: number;
  /** The server's word for what is wrong, such as `model_not_found`. */
  readonly code: string | null;
  /** What else the server said of it, such as what is wrong with each field. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(message: string, status: number, code: string | null = null, details = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
  }
}

/** What an error says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** How a request is made. */
export interface RequestOptions {
  /** Sent as JSON, by POST. */
  readonly body?: object;
  readonly signal?: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Asks the server that handed out the page. `path` is relative to it: `api/runs`. Where the server wants a key, the page asks
 * for it and the request is made again.
 *
 * @throws {RequestError} for every answer that is no success, and where there is none.
 */
export async function request(path: string, options: RequestOptions = {}): Promise<Response> {
  for (;;) {
    const used = apiKey();
    const response = await send(path, options, used);
    if (response.ok) return response;
    const error = await errorOf(response);
    if (error.status !== 401) throw error;
    if (apiKey() === used) await askForKey();
    options.signal?.throwIfAborted();
  }
}

/** The JSON value that the server answers with. Its type is the server's word, not checked again. */
export async function requestJson<Value>(path: string, options: RequestOptions = {}): Promise<Value> {
  return (await request(path, options)).json() as Promise<Value>;
}

async function send(path: string, { body, signal, headers }: RequestOptions, key: string | null): Promise<Response> {
  try {
    return await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        ...headers,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new RequestError("the server does not answer; is `stemma serve` still running?", 0);
  }
}

async function errorOf(response: Response): Promise<RequestError> {
  const body = await response.json().catch(() => null);
  const { message, code, ...details } = body?.error ?? {};
  const text = typeof message === "string" ? message : `the server answered with status ${response.status}`;
  return new RequestError(text, response.status, typeof code === "string" ? code : null, details);
}
