import type { ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SamplingSettings } from "../generate/sampling.ts";
import { HttpScorer } from "./http-scorer.ts";

const ignore = (): void => {};

interface Answer {
  index: number;
  text: string;
  logprobs: {
    text_offset: number[];
    token_logprobs: (number | null)[];
    top_logprobs: (Record<string, number> | null)[];
  };
}

/** One token a character, whose log-probability is −its place, and one that is generated. */
function answerTo(text: string, index: number): Answer {
  const places = [...`${text}!`].map((_, i) => i);
  const values = places.map((i) => (i === 0 ? null : -i));
  const top = values.map((value) => (value === null ? null : { x: value + (value === -5 ? 1 : 0) }));
  return { index, text, logprobs: { text_offset: places, token_logprobs: values, top_logprobs: top } };
}

/** What servers that a model's name calls for make of the right answers. */
const servers: Record<string, (choices: Answer[]) => object[]> = {
  some: (choices) => choices.toReversed(),
  busy: (choices) => choices,
  unasked: (choices) => choices.map((choice) => ({ ...choice, logprobs: null })),
  deaf: (choices) =>
    choices.map(({ index }) => ({ index, text: "!", logprobs: { text_offset: [0], token_logprobs: [-1] } })),
  "deaf, placed": (choices) =>
    choices.map(({ index }) => ({ index, text: "!", logprobs: { text_offset: [5], token_logprobs: [-1] } })),
  empty: (choices) => choices.map((choice) => withValues(choice, () => null)),
  holey: (choices) => choices.map((choice) => withValues(choice, (value) => (value === -4 ? null : value))),
  single: (choices) => choices.slice(0, 1),
  // "<s>" before the text, which offsets count.
  prefixed: (choices) =>
    choices.map((choice) => ({
      ...choice,
      logprobs: {
        text_offset: [0, ...choice.logprobs.text_offset.map((place) => place + 3)],
        token_logprobs: [null, ...choice.logprobs.token_logprobs.map((value) => value ?? -10)],
      },
    })),
};

function withValues(choice: Answer, of: (value: number | null) => number | null): object {
  return { ...choice, logprobs: { ...choice.logprobs, token_logprobs: choice.logprobs.token_logprobs.map(of) } };
}

/** How often each model was asked, how many requests are here, and how many were at most. */
const [asked, load] = [new Map<string, number>(), { now: 0, most: 0 }];

/** Reads 8 tokens with what it writes; a token is a character, its id the code. */
function replyShort(response: ServerResponse, { prompt, max_tokens: length = 0 }: ShortRequest, route: string): void {
  const isIds = (list: readonly (string | number)[]): list is readonly number[] => typeof list[0] === "number";
  const list = [prompt].flat();
  const spelled = isIds(list) ? [String.fromCodePoint(...list)] : list.map(String);
  const idsOf = (text: string): number[] => [...text].map((character) => character.codePointAt(0) ?? 0);
  if (route === "/tokenize") {
    response.end(JSON.stringify({ tokens: idsOf(spelled[0] ?? ""), max_model_len: 8 }));
  } else if (spelled.some((text) => [...text].length + length > 8)) {
    const error = { message: "too long", code: "context_length_exceeded" };
    response.writeHead(400).end(JSON.stringify({ error }));
  } else response.end(JSON.stringify({ choices: spelled.map(answerTo) }));
}

interface ShortRequest {
  readonly prompt: string | (string | number)[];
  readonly max_tokens?: number;
}

function reply(response: ServerResponse, body: string, route: string): void {
  const { prompt, model: name } = JSON.parse(body) as { prompt: string | string[]; model: string };
  const count = (asked.get(name) ?? 0) + 1;
  asked.set(name, count);
  if (name === "deadlocked") return;
  if (name === "short") replyShort(response, JSON.parse(body), route);
  else if (name === "busy" && count < 3) {
    response.writeHead(count === 1 ? 429 : 502, { "retry-after": "0" }).end("later");
  } else if (name === "flood") {
    response.writeHead(200);
    const pour = (): void => {
      while (!response.destroyed && response.write("x".repeat(1 << 16)));
    };
    response.on("drain", pour);
    pour();
  } else if (name === "slow") {
    load.now += 1;
    load.most = Math.max(load.most, load.now);
    setTimeout(() => {
      load.now -= 1;
      response.end(JSON.stringify({ choices: [prompt].flat().map(answerTo) }));
    }, 20);
  } else if (/^\d+$/.test(name)) {
    response.statusCode = Number(name);
    response.end(JSON.stringify({ error: { message: "no such luck" } }));
  } else if (name === "broken") {
    response.writeHead(200, { "content-length": "1000" });
    response.write('{"choices":', () => response.destroy());
  } else response.end(JSON.stringify({ choices: servers[name]?.([prompt].flat().map(answerTo)) }));
}

const server = createServer((request, response) => {
  let body = "";
  request.setEncoding("utf8");
  request.on("data", (part: string) => {
    body += part;
  });
  request.on("end", () => reply(response, body, request.url ?? ""));
});
let baseUrl = "";
beforeAll(async () => {
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const limits = { retries: 2, retryDelayMs: 1, timeoutMs: 10_000 };
const scorer = (model: string): HttpScorer => new HttpScorer({ baseUrl, model, apiKey: "key", seed: 1, ...limits });

test("a server's log-probabilities count from the context on, without the token it adds", async () => {
  const http = scorer("some");
  const [found] = await http.likelihoods([{ context: "abc", continuations: ["de", "fgh"] }], ignore);
  expect(found).toEqual([
    { logProb: -3 - 4, isGreedy: true },
    { logProb: -3 - 4 - 5, isGreedy: false },
  ]);
  expect(http.unscoredStarts).toBe(0);
});

test("offsets count code points", async () => {
  const asked = [{ context: "a😀b", continuations: ["c", "😀d"] }];
  const [found] = await scorer("some").likelihoods(asked, ignore);
  expect(found?.map(({ logProb }) => logProb)).toEqual([-3, -3 - 4]);
  expect(await scorer("some").textLikelihoods(["😀😀"], ignore)).toEqual([-1]);
});

test("spaces at the end of a context belong to what follows", async () => {
  const [found] = await scorer("some").likelihoods([{ context: "ab \n", continuations: ["c"] }], ignore);
  expect(found).toEqual([{ logProb: -2 - 3 - 4, isGreedy: true }]);
});

test("a first token that a server sets nothing before is left out and counted", async () => {
  const http = scorer("some");
  expect(await http.textLikelihoods(["abcd", "ab"], ignore)).toEqual([-1 - 2 - 3, -1]);
  await http.likelihoods([{ context: "", continuations: ["ab", "cd", "ef"] }], ignore);
  expect(http.unscoredStarts).toBe(5);
});

test("a token that a server sets before a text is no part of it", async () => {
  const http = scorer("prefixed");
  expect(await http.textLikelihoods(["abc"], ignore)).toEqual([-10 - 1 - 2]);
  const [found] = await http.likelihoods([{ context: "abc", continuations: ["de"] }], ignore);
  expect(found?.[0]?.logProb).toBe(-3 - 4);
  expect(http.unscoredStarts).toBe(0);
});

test("prompts that are too long for a server lose their beginning, and are counted", async () => {
  const http = scorer("short");
  const asked = [
    { context: "ab", continuations: ["cd", "ef"] },
    { context: "abcdefg😀ij", continuations: ["kl", "k"] },
    { context: "abcde", continuations: ["f", "ghi"] },
  ];
  // Seven places are read, the eighth is written: "fg😀ijkl", and "efg😀ijk".
  expect((await http.likelihoods(asked, ignore)).map((all) => all.map(({ logProb }) => logProb))).toEqual([
    [-2 - 3, -2 - 3],
    [-5 - 6, -6],
    [-5, -4 - 5 - 6],
  ]);
  expect([http.cutRequests, http.maxLength, http.unscoredStarts]).toEqual([2, 8, 0]);
  const sampling = SamplingSettings.parse({});
  const written = { context: "abcdefghij", until: [], maxNewTokens: 3, sampling };
  expect(await http.continuations([written], ignore)).toEqual(["fghij"]);
  expect(http.cutRequests).toBe(3);
});

test("texts that are too long for a server are read in windows, each token once", async () => {
  const http = scorer("short");
  // "abcdefg", and then the last seven, of which the last five are new.
  expect(await http.textLikelihoods(["abcdefghijkl"], ignore)).toEqual([-21 - (2 + 3 + 4 + 5 + 6)]);
  expect(http.unscoredStarts).toBe(1);
});

test("an answer that is longer than a server reads is refused", async () => {
  const asked = scorer("short").likelihoods([{ context: "ab", continuations: ["cdefghi"] }], ignore);
  await expect(asked).rejects.toThrow('eval: the answer "cdefghi…" is longer than the 8 tokens that short reads');
});

test.each(["unasked", "deaf", "deaf, placed", "empty", "holey", "single"])(
  "answers without the prompt's log-probabilities are refused: %s",
  async (name) => {
    const asked = scorer(name).likelihoods([{ context: "abc", continuations: ["de", "fg"] }], ignore);
    await expect(asked).rejects.toThrow(/completions: returns .*; the server must support echo together with logprobs/);
  },
);

test.each([
  ["400", /answers 400: .*no such luck.*; .*longer than the model reads/],
  ["401", /answers 401: .*; check the key/],
  ["403", /answers 403: .*; check the key/],
  ["404", /answers 404: .*; check the model's name and the address/],
  ["429", /answers 429, asked 3 times: .*; the server wants fewer requests; lower --concurrency/],
  ["503", /answers 503, asked 3 times: .*; the server failed; .*try again/],
  ["broken", /^http:.*completions: its answer broke off \(/],
])("a server that refuses or fails is named, with what to do: %s", async (name, expected) => {
  await expect(scorer(name).textLikelihoods(["ab"], ignore)).rejects.toThrow(expected);
});

test("a busy server is asked again", async () => {
  expect(await scorer("busy").textLikelihoods(["xyz"], ignore)).toEqual([-1 - 2]);
  expect(asked.get("busy")).toBe(3);
  await expect(scorer("401").textLikelihoods(["x"], ignore)).rejects.toThrow("check the key");
});

test("a server that does not answer, or answers without end, is left", async () => {
  const common = { baseUrl, apiKey: null, seed: 1 };
  const silent = new HttpScorer({ ...common, model: "deadlocked", timeoutMs: 50 });
  await expect(silent.textLikelihoods(["x"], ignore)).rejects.toThrow("gave no whole answer within 0.05 s; look at");
  const flood = new HttpScorer({ ...common, model: "flood", answerBytes: 1 << 20 });
  await expect(flood.textLikelihoods(["x"], ignore)).rejects.toThrow("answers more than 1 MB");
});

test("a few requests are on their way at a time, and answers come in order", async () => {
  const http = new HttpScorer({ baseUrl, model: "slow", apiKey: null, seed: 1, concurrency: 3 });
  const texts = Array.from({ length: 10 }, (_, i) => "a".repeat(i + 2));
  const done: number[] = [];
  const found = await http.textLikelihoods(texts, (count) => done.push(count));
  expect(found).toEqual(texts.map(({ length }) => (-length * (length - 1)) / 2));
  expect(done).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(load.most).toBe(3);
});

test("a server that is not there is named", async () => {
  const http = new HttpScorer({ baseUrl: "http://127.0.0.1:9/v1", model: "some", apiKey: null, seed: 1 });
  await expect(http.textLikelihoods(["ab"], ignore)).rejects.toThrow(/completions: cannot be reached/);
});
