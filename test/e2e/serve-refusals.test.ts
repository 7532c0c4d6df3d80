import { expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { serveSmallModels } from "./served-folder.ts";

const { server } = await serveSmallModels();

const messages = [{ role: "user" as const, content: "the heaven" }];

const cases: [path: string, body: unknown, status: number, param: string | null, message: RegExp][] = [
  ["/v1/completions", "{", 400, null, /not valid JSON/],
  ["/v1/completions", "[1]", 400, null, /must be a JSON object, got \[1\]/],
  ["/v1/completions", `${"[".repeat(100_000)}`, 400, null, /more than 32 deep/],
  ["/v1/completions", new Uint8Array([0x7b, 0xff, 0x7d]), 400, null, /not valid UTF-8/],
  ["/v1/completions", `{"prompt":"${"a".repeat(5 << 20)}"}`, 413, null, /larger than 4194304 bytes/],
  ["/v1/completions", { prompt: "a", n: 17 }, 400, "n", /n must be at most 16, got 17/],
  ["/v1/completions", { prompt: "a", best_of: 1, n: 2 }, 400, "best_of", /fewer than n/],
  ["/v1/completions", { prompt: [[1], [-1]] }, 400, "prompt[1][0]", /must be at least 0, got -1/],
  ["/v1/completions", { prompt: [[1], "a"] }, 400, "prompt", /must be a text, a list/],
  ["/v1/completions", { prompt: [9999] }, 400, "prompt[0]", /token 9999 is outside the vocabulary of \d+/],
  ["/v1/completions", { prompt: Array(512).fill(1) }, 400, "prompt", /has 512 tokens, the model reads 512 with what/],
  [
    "/v1/completions",
    { prompt: Array(3).fill("a".repeat(70_000)) },
    400,
    "prompt[0]",
    /has 70000 characters, more than 128 for each token, the model reads 512 with what it writes; shorten it/,
  ],
  [
    "/v1/chat/completions",
    { messages: [...messages, ...messages, { role: "user", content: "a".repeat(65_600) }] },
    400,
    "messages",
    /has 65620 characters, more than 128/,
  ],
  ["/detokenize", { tokens: Array(2 ** 17 + 1).fill(1) }, 400, null, /a list or an object of more than 131072 entries/],
  ["/v1/completions", { prompt: "a", logit_bias: { 9999: 1 } }, 400, "logit_bias.9999", /outside the vocabulary/],
  ["/v1/completions", { prompt: "a", logit_bias: { a: 1 } }, 400, "logit_bias.a", /token ids as keys/],
  ["/v1/completions", { prompt: "a", suffix: "b" }, 400, "suffix", /leave it out/],
  ["/v1/completions", '{"prompt":"a","temperature":1e999}', 400, "temperature", /must be a number, got Infinity/],
  ["/v1/completions", { model: "other", prompt: "a" }, 404, "model", /is not here; this server has writer, reader/],
  ["/v1/completions", { model: "judge", prompt: "a" }, 400, "model", /is a reward model: ask \/v1\/score/],
  ["/v1/chat/completions", {}, 400, "messages", /messages is missing; it must be a list/],
  ["/v1/chat/completions", { messages: "hi" }, 400, "messages", /must be a list of messages/],
  ["/v1/chat/completions", { messages: [] }, 400, "messages", /must be a list of messages/],
  ["/v1/chat/completions", { messages: null }, 400, "messages", /must be a list of messages/],
  [
    "/v1/chat/completions",
    { messages: [123] },
    400,
    "messages[0]",
    /must be an object with a role and a content, got 123/,
  ],
  ["/v1/chat/completions", { messages: [{}] }, 400, "messages[0].role", /is missing/],
  ["/v1/chat/completions", { messages: [{ role: 123 }] }, 400, "messages[0].role", /must be one of system/],
  ["/v1/chat/completions", { messages: [...messages, {}] }, 400, "messages[1].role", /is missing/],
  ["/v1/chat/completions", { messages, response_format: { type: "sound" } }, 400, "response_format.type", /./],
  [
    "/v1/chat/completions",
    { messages, response_format: { type: "json_schema", json_schema: { schema: 123 } } },
    400,
    "response_format.json_schema.schema",
    /./,
  ],
  [
    "/v1/chat/completions",
    { messages, response_format: { type: "json_schema", json_schema: { schema: { type: "hiccup" } } } },
    400,
    "response_format",
    /hiccup/,
  ],
  [
    "/v1/chat/completions",
    { messages: [{ role: "user", content: 5 }] },
    400,
    "messages[0].content",
    /must be a text, a list of parts/,
  ],
  [
    "/v1/chat/completions",
    { messages: [...messages, { role: "assistant", tool_calls: [] }] },
    400,
    "messages[1].content",
    /content is missing; it must be a text/,
  ],
  ["/tokenize", { messages: [{ role: "user" }] }, 400, "messages[0].content", /content is missing/],
  [
    "/v1/chat/completions",
    { messages: [{ role: "god", content: "" }] },
    400,
    "messages[0].role",
    /one of system, developer/,
  ],
  [
    "/v1/chat/completions",
    { messages, tools: [{ type: "function", function: { name: "f" } }] },
    400,
    "tools",
    /does not know them/,
  ],
  ["/v1/chat/completions", { messages, top_logprobs: 2 }, 400, "top_logprobs", /set logprobs to true/],
  ["/v1/embeddings", { model: "writer", input: "a" }, 400, "model", /it writes texts/],
  ["/v1/embeddings", { model: "reader", input: "the", dimensions: 7 }, 400, "dimensions", /have 32, got 7/],
  ["/detokenize", { tokens: [-1] }, 400, "tokens[0]", /at least 0/],
  ["/nothing", {}, 404, null, /there is nothing at "\/nothing"/],
];
test.each(cases)("%s %#", async (path, body, status, param, message) => {
  const answer = await server.post(path, body);
  expect([answer.status, answer.body.error.param]).toEqual([status, param]);
  expect(answer.body.error.message).toMatch(message);
  expect(answer.headers.get("x-request-id")).toMatch(/^req-[0-9a-f]{24}$/);
  expect(answer.headers.get("x-should-retry")).toBe("false");
});

test("methods, content types, hosts and pages", async () => {
  const wrong = await server.get("/v1/completions");
  expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "POST"]);
  const place = await server.post("/v1/models/writer", {});
  expect(place.body.error.message).toBe("/v1/models/{id} is asked with GET, not with POST");
  expect((await server.get("/v1/models/writer")).status).toBe(200);
  expect((await server.get("/metrics")).body).toMatch(
    /^stemma_requests_total\{route="\/v1\/models\/\{id\}",status="200"\} 1$/m,
  );
  const text = await server.post("/v1/completions", "{}", { "content-type": "text/plain" });
  expect([text.status, text.body.error.code]).toEqual([415, "unsupported_media_type"]);
  const page = await server.post("/v1/completions", {}, { origin: "http://evil.example" });
  expect([page.status, page.body.error.code]).toEqual([403, "origin_not_allowed"]);
  const raw = await server.talk("GET /health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
  expect(raw).toMatch(/^HTTP\/1.1 403 [\s\S]*host_not_allowed/);
  expect(await server.talk("nonsense\r\n\r\n")).toMatch(/^HTTP\/1.1 400 [\s\S]*"type":"invalid_request_error"/);
  expect(await server.talk(`GET / HTTP/1.1\r\nX: ${"a".repeat(20_000)}\r\n\r\n`)).toMatch(/^HTTP\/1.1 431 /);
});

test("fifteen hundred bodies that nobody expects: refused or answered, never a failure", async () => {
  const random = new Random(11).reader();
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random.uniform() * items.length)] as Item;
  const odd = [
    null,
    true,
    -1,
    0,
    1,
    1.5,
    1e308,
    "",
    "a",
    [],
    [[]],
    {},
    [null],
    ["a", 1],
    { a: {} },
    "\u0000",
    "\ud800",
  ];
  const keys = ["prompt", "messages", "n", "stop", "seed", "logprobs", "echo", "stream", "logit_bias", "max_tokens"];
  const paths = ["/v1/completions", "/v1/chat/completions", "/tokenize", "/detokenize", "/v1/embeddings"];
  const statuses = new Map<number, number>();
  for (let batch = 0; batch < 50; batch++) {
    const answers = Array.from({ length: 30 }, () => {
      const fields = Array.from({ length: 3 }, () => [pick(keys), pick(odd)]);
      const whole = JSON.stringify({ max_tokens: 1, ...Object.fromEntries(fields) });
      const cut = random.uniform() < 0.3 ? whole.slice(0, Math.floor(random.uniform() * whole.length)) : whole;
      return server.post(pick(paths), cut);
    });
    for (const { status } of await Promise.all(answers)) statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }
  expect([...statuses.keys()].sort()).toEqual(expect.arrayContaining([200, 400]));
  expect([...statuses.keys()].filter((status) => status >= 500)).toEqual([]);
  expect((await server.get("/health")).status).toBe(200);
});
