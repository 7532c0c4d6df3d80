import { Agent, request } from "node:http";
import { Random } from "../src/core/random.ts";

/** What is sent to a server, and how fast. */
export interface Load {
  readonly url: string;
  /** Body of a request for a stream of a completion; `i` counts them. */
  readonly body: (i: number) => object;
  /** Requests a second, at moments that follow a Poisson process: what comes never waits for what went. */
  readonly rate: number;
  readonly seconds: number;
  readonly seed: number;
}

/** How one request fared. Times are in milliseconds, from its sending on. */
export interface Outcome {
  readonly status: number;
  /** Of each event with text; empty for what was refused. */
  readonly tokens: readonly number[];
  readonly end: number;
  /** Whether the last event was `[DONE]`, without an error before it. */
  readonly isWhole: boolean;
  readonly retryAfter: string | null;
}

/** Sends requests at random moments whether or not the earlier ones were answered, and waits for all. */
export async function openLoop({ url, body, rate, seconds, seed }: Load): Promise<Outcome[]> {
  const reader = new Random(seed).reader();
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  const outcomes: Promise<Outcome>[] = [];
  const start = performance.now();
  for (let due = 0, i = 0; ; i++) {
    due += (-Math.log(1 - reader.uniform()) / rate) * 1000;
    if (due > seconds * 1000) break;
    const wait = start + due - performance.now();
    if (wait > 1) await new Promise((resolve) => setTimeout(resolve, wait));
    outcomes.push(ask(url, body(i), agent));
  }
  const all = await Promise.all(outcomes);
  agent.destroy();
  return all;
}

/** Keeps so many requests under way until a function of how many were sent says that it is enough: what a server gives at most. */
export async function closedLoop(
  url: string,
  body: (i: number) => object,
  concurrency: number,
  isEnough: (asked: number) => boolean,
): Promise<Outcome[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  const outcomes: Outcome[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (!isEnough(next)) outcomes.push(await ask(url, body(next++), agent));
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  agent.destroy();
  return outcomes;
}

/** Asks for a stream, and writes down when each event came. */
export function ask(url: string, body: object, agent: Agent): Promise<Outcome> {
  const text = JSON.stringify({ ...body, stream: true });
  const start = performance.now();
  const now = (): number => performance.now() - start;
  return new Promise((resolve) => {
    const tokens: number[] = [];
    let [status, tail, hasError] = [0, "", false];
    let retryAfter: string | null = null;
    const done = (): void =>
      resolve({ status, tokens, end: now(), isWhole: tail.endsWith("[DONE]\n\n") && !hasError, retryAfter });
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
    const sent = request(`${url}/v1/completions`, { method: "POST", agent, headers }, (response) => {
      status = response.statusCode ?? 0;
      retryAfter = response.headers["retry-after"] ?? null;
      response.setEncoding("utf8").on("data", (chunk: string) => {
        for (const line of chunk.split("\n\n")) if (/"text":"[^"]/.test(line)) tokens.push(now());
        hasError ||= chunk.includes('data: {"error"');
        tail = (tail + chunk).slice(-20);
      });
      response.on("end", done).on("error", done);
    });
    sent.on("error", done);
    sent.end(text);
  });
}

/** How long a small question takes, asked again and again until a function says that it is enough. */
export async function probe(url: string, everyMs: number, isOver: () => boolean): Promise<number[]> {
  const times: number[] = [];
  while (!isOver()) {
    const start = performance.now();
    await fetch(`${url}/health`).then((response) => response.text());
    times.push(performance.now() - start);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  return times;
}

/** The value below which a share of the others lie. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** Times between the tokens of each stream. */
export function gapsOf(outcomes: readonly Outcome[]): number[] {
  return outcomes.flatMap(({ tokens }) => tokens.slice(1).map((time, i) => time - (tokens[i] ?? 0)));
}
