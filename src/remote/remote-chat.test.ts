import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RemoteChat } from "./remote-chat.ts";
import { remoteScore } from "./remote-score.ts";
import type { RemoteServer } from "./remote-server.ts";

type Body = Record<string, unknown>;
/** Bodies that each model got. */
const asked = new Map<string, Body[]>();
const open = new Set<string>();

function event(content: string, finish: string | null = null): string {
  return `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason: finish }] })}\r\n\r\n`;
}

/** What servers that a model's name calls for do with a request. */
const servers: Record<string, (response: ServerResponse, count: number) => void> = {
  kind: (response) => {
    const text = `: ping\n\n${event("Gü")}${event("")}${event("ten Tag\n𝄞")}${event("", "stop")}data: {"choices":[],"usage":{}}\n\ndata: [DONE]\n\n`;
    const bytes = Buffer.from(text);
    response.writeHead(200, { "content-type": "text/event-stream" });
    let at = 0;
    const next = (): void => {
      at += 7;
      if (at - 7 >= bytes.length) response.end();
      else response.write(bytes.subarray(at - 7, at), () => setImmediate(next));
    };
    next();
  },
  whole: (response) => response.end(JSON.stringify({ choices: [{ message: { content: "All at once." } }] })),
  busy: (response, count) => {
    const date = new Date(Date.now() - 1000).toUTCString();
    if (count < 3) response.writeHead(429, { "retry-after": count === 1 ? "0" : date }).end("later");
    else servers.kind?.(response, count);
  },
  refusing: (response) => response.writeHead(401).end('{"error":{"message":"who\\nare you"}}'),
  failing: (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(`${event("I was")}data: {"error":{"message":"out of memory"}}\n\ndata: [DONE]\n\n`);
  },
  cut: (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(event("I was"));
  },
  torn: (response) => {
    response.writeHead(200, { "content-type": "text/event-stream", "content-length": "1000" });
    response.write(event("I was"), () => response.destroy());
  },
  stuck: (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(event("I was"));
  },
  endless: (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const pour = (): void => {
      while (!response.destroyed && response.write("data: x".repeat(1 << 13)));
    };
    response.on("drain", pour);
    pour();
  },
  web: (response) => response.writeHead(200, { "content-type": "text/html" }).end("<html>\n</html>"),
};

function reply(request: IncomingMessage, response: ServerResponse, text: string): void {
  const body = JSON.parse(text) as Body;
  const name = String(body.model);
  asked.set(name, [...(asked.get(name) ?? []), { ...body, key: request.headers.authorization, url: request.url }]);
  open.add(name);
  response.on("close", () => open.delete(name));
  servers[name]?.(response, asked.get(name)?.length ?? 0);
}

const server = createServer((request, response) => {
  let text = "";
  request.setEncoding("utf8");
  request.on("data", (part: string) => {
    text += part;
  });
  request.on("end", () => reply(request, response, text));
});
let baseUrl = "";
beforeAll(async () => {
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const of = (model: string, more: Partial<RemoteServer> = {}): RemoteServer => ({
  ...{ baseUrl, model, apiKey: "secret", retries: 2, retryDelayMs: 1, timeoutMs: 10_000 },
  ...more,
});

async function all(pieces: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const piece of pieces) found.push(piece);
  return found;
}

test("an answer comes piece by piece, and what was said goes with the next question", async () => {
  const chat = new RemoteChat(of("kind"), { system: "Be kind.", seed: 5, temperature: 0.5, topK: 3 });
  expect(await all(chat.say("Hello"))).toEqual(["Gü", "ten Tag\n𝄞"]);
  await all(chat.say("And?"));
  await all(chat.retry());
  const turns = [
    { role: "system", content: "Be kind." },
    { role: "user", content: "Hello" },
    { role: "assistant", content: "Güten Tag\n𝄞" },
    { role: "user", content: "And?" },
  ];
  expect(chat.messages).toEqual([...turns, { role: "assistant", content: "Güten Tag\n𝄞" }]);
  const common = { model: "kind", temperature: 0.5, top_k: 3, stream: true, key: "Bearer secret" };
  const url = "/v1/chat/completions";
  expect(asked.get("kind")).toEqual([
    { ...common, url, messages: turns.slice(0, 2), seed: 5 },
    { ...common, url, messages: turns, seed: 6 },
    { ...common, url, messages: turns, seed: 7 },
  ]);
});

test("a server that does not stream, or is busy at first, answers, too", async () => {
  expect(await all(new RemoteChat(of("whole"), { system: "", seed: 1 }).say("x"))).toEqual(["All at once."]);
  expect((await all(new RemoteChat(of("busy"), { system: "", seed: 1 }).say("x"))).join("")).toBe("Güten Tag\n𝄞");
  expect(asked.get("busy")).toHaveLength(3);
});

test.each([
  ["refusing", /chat\/completions: answers 401: .*who\\nare you.*; check the key$/],
  ["web", /its answer is no answer of a chat: <html> <\/html>; is it an OpenAI-compatible server\?$/],
  ["endless", /answers more than 1 MB; is it|sends an event of more than 1048576 characters/],
])("a server that refuses or answers something else leaves the conversation as it was: %s", async (name, message) => {
  const chat = new RemoteChat(of(name, { answerBytes: 1 << 20 }), { system: "", seed: 1 });
  await expect(all(chat.say("x"))).rejects.toThrow(message);
  expect(chat.messages).toEqual([]);
});

test.each([
  ["failing", /its answer is no piece of a chat: .*out of memory/],
  ["cut", /its answer broke off before its end; look at the server's log/],
  ["torn", /its answer broke off \(/],
  ["stuck", /gave no whole answer within 0.1 s/],
])("an answer that breaks off is an error, and what came of it is kept: %s", async (name, message) => {
  const chat = new RemoteChat(of(name, { timeoutMs: name === "stuck" ? 100 : 10_000 }), { system: "", seed: 1 });
  await expect(all(chat.say("x"))).rejects.toThrow(message);
  expect(chat.messages.at(-1)).toEqual({ role: "assistant", content: "I was" });
});

test("leaving an answer, or a signal, ends the request", async () => {
  const chat = new RemoteChat(of("stuck"), { system: "", seed: 1 });
  for await (const piece of chat.say("x")) {
    expect(piece).toBe("I was");
    break;
  }
  await expect.poll(() => open.has("stuck")).toBe(false);
  const stop = new AbortController();
  const stopped = new RemoteChat(of("stuck", { signal: stop.signal }), { system: "", seed: 1 });
  const reading = all(stopped.say("x"));
  setTimeout(() => stop.abort(new Error("enough")), 20);
  await expect(reading).rejects.toThrow("enough");
});

test("a text is scored by what a server says of its tokens", async () => {
  const logprobs = {
    ...{ tokens: ["<s>", "a", "bc", "!"], text_offset: [0, 3, 4, 6], token_logprobs: [null, -1, -2, -9] },
    top_logprobs: null,
  };
  servers.scoring = (response) => response.end(JSON.stringify({ choices: [{ index: 0, text: "abc!", logprobs }] }));
  const expected = { tokens: ["<s>", "a", "bc"], logProbs: [null, -1, -2], loss: 1.5, perplexity: Math.exp(1.5) };
  expect(await remoteScore(of("scoring"), "abc")).toEqual(expected);
  expect(await remoteScore(of("scoring"), [7, 8, 9])).toEqual(expected);
  expect(asked.get("scoring")?.[1]).toMatchObject({ prompt: [7, 8, 9], echo: true, logprobs: 1, temperature: 0 });
  servers.mute = (response) => response.end(JSON.stringify({ choices: [{ text: "abc", logprobs: null }] }));
  await expect(remoteScore(of("mute"), "abc")).rejects.toThrow(
    "completions: returns no log-probabilities of the prompt",
  );
});
