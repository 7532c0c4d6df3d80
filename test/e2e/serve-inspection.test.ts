import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openReference } from "../../src/backend/reference/index.ts";
import { Random } from "../../src/core/random.ts";
import { encodeAnswer } from "../../src/data/encoded-rankings.ts";
import { score } from "../../src/generate/score.ts";
import { encoderIn } from "../../src/models/encoder-in.ts";
import { loadModel } from "../../src/models/load.ts";
import { loadRewardModel } from "../../src/models/reward-model.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { endOfText, tokenizer } from "../small-model.ts";
import type { RunningServer } from "./running-server.ts";
import { until } from "./running-server.ts";
import { ServedFolder } from "./served-folder.ts";

const folder = new ServedFolder();
let server: RunningServer;
const backend = openReference();

beforeAll(async () => {
  await folder.write();
  server = await folder.start("--slots", "2");
}, 120_000);
afterAll(() => folder.remove());

const prompt = "In the beginning God";
const ids = [...tokenizer.encode(prompt)];

test("parameters are those of the folder, their numbers those of the weights", async () => {
  const { body } = await server.get("/api/parameters?model=writer");
  expect(body).toMatchObject({ model: "writer", kind: "decoder", attention: { layers: 2, heads: 4 } });
  const { model, family } = await loadModel(folder.at("writer"), backend);
  const bindings = family.tensors(model);
  expect(body.parameters.map(({ name }: { name: string }) => name)).toEqual(bindings.map(({ name }) => name));
  const [table] = body.parameters;
  const { vocabularySize } = model.settings;
  expect(table).toEqual({
    ...{ name: "transformer.wte.weight", shape: [vocabularySize, 64], format: "float32" },
    ...{ bytes: vocabularySize * 256, count: vocabularySize * 64 },
  });
  const attention = body.parameters.find(({ name }: { name: string }) => name === "transformer.h.0.attn.c_attn.weight");
  expect(attention.shape).toEqual([64, 192]); // as the file has it
  const values = await model.tokenEmbedding.floats();
  const { body: summary } = await server.get(`/api/parameter?model=writer&name=${table.name}`);
  const sum = (of: (value: number) => number): number => values.reduce((total, value) => total + of(value), 0);
  const mean = sum((value) => value) / values.length;
  expect(summary.mean).toBeCloseTo(mean, 6);
  expect(summary.norm).toBeCloseTo(Math.sqrt(sum((value) => value ** 2)), 4);
  expect(summary.standard_deviation).toBeCloseTo(Math.sqrt(sum((value) => (value - mean) ** 2) / values.length), 6);
  expect(summary.histogram.counts.reduce((a: number, b: number) => a + b, 0)).toBe(values.length);
  const { status, body: none } = await server.get("/api/parameter?model=writer&name=nothing");
  expect([status, none.error.code]).toEqual([404, "parameter_not_found"]);
  const unnamed = await server.get("/api/parameter?model=writer");
  expect([unnamed.status, unnamed.body.error.param]).toEqual([400, "name"]);
});

test("the other kinds of models list their parameters, too; a reward model its head", async () => {
  const judge = (await server.get("/api/parameters?model=judge")).body;
  expect(judge.kind).toBe("reward");
  expect(judge.parameters.find(({ name }: { name: string }) => name === "score.weight").shape).toEqual([1, 64]);
  const reader = (await server.get("/api/parameters?model=reader")).body;
  expect(reader.parameters.length).toBeGreaterThan(10);
  expect(reader.attention.heads).toBeGreaterThan(0);
});

test("what the lens says of the last layer is what the model says", async () => {
  const { body } = await server.post("/api/lens", { model: "writer", prompt, alternatives: 3 });
  expect(body.tokens.map(({ id }: { id: number }) => id)).toEqual(ids);
  expect(body.tokens.map(({ text }: { text: string }) => text).join("")).toBe(prompt);
  expect(body.layers.length).toBe(2);
  const { model } = await loadModel(folder.at("writer"), backend);
  const expected = (await score(model, ids)).logProbs.slice(1);
  const [, last] = body.layers;
  expect(last.next).toEqual([...expected.map((value) => expect.closeTo(value ?? 0, 4)), null]);
  const echo = await server.post("/v1/completions", {
    model: "writer",
    prompt,
    max_tokens: 0,
    echo: true,
    logprobs: 3,
  });
  const [{ logprobs }] = echo.body.choices;
  expect(last.next.slice(0, -1)).toEqual(
    logprobs.token_logprobs.slice(1).map((value: number) => expect.closeTo(value, 5)),
  );
  for (const [t, guesses] of last.top.slice(0, -1).entries()) {
    expect(guesses.length).toBe(3);
    for (const { id, logprob } of guesses) {
      const known = logprobs.top_logprobs[t + 1][body.texts[id]];
      if (!body.texts[id].includes("\ufffd")) expect(known).toBeCloseTo(logprob, 5);
    }
  }
  expect(body.layers[0].next).not.toEqual(last.next);
});

test("attention adds up to 1 and sees nothing that comes later; an encoder sees all", async () => {
  const { body } = await server.post("/api/attention", { model: "writer", prompt });
  expect([body.layers, body.heads, body.maps.length]).toEqual([2, 4, 2]);
  for (const { weights } of body.maps) {
    for (const head of weights) {
      expect(head.length).toBe(ids.length);
      head.forEach((row: number[], query: number) => {
        expect(row.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 3);
        expect(row.slice(query + 1).every((weight) => weight === 0)).toBe(true);
      });
    }
  }
  const second = await server.post("/api/attention", { model: "writer", prompt, layers: [1] });
  expect(second.body.maps).toEqual([body.maps[1]]);
  const reader = (await server.post("/api/attention", { model: "reader", prompt: "the heaven" })).body;
  expect(reader.maps[0].weights[0][0].at(-1)).toBeGreaterThan(0);
  expect((await server.post("/api/attention", { model: "judge", prompt })).body.maps.length).toBe(2);
});

test("what is written beside an inspection is what is written alone", async () => {
  const ask = { model: "writer", prompt: "the", max_tokens: 60, temperature: 0, ignore_eos: true };
  const alone = (await server.post("/v1/completions", ask)).body.choices[0].text;
  const [beside] = await Promise.all([
    server.post("/v1/completions", ask),
    ...Array.from({ length: 4 }, () => server.post("/api/attention", { model: "writer", prompt })),
  ]);
  expect(beside.body.choices[0].text).toBe(alone);
});

test("words have the tokens that the text has, and their merges", async () => {
  const text = `the heaven${endOfText}<b>🙂`;
  const { body } = await server.post("/api/words", { model: "writer", text });
  expect(body.tokens.map(({ id }: { id: number }) => id)).toEqual([...tokenizer.encode(text)]);
  expect(body).toMatchObject({
    tokenizer: "byte-level-bpe",
    characters: [...text].length,
    bytes: Buffer.byteLength(text),
  });
  const bytes = body.tokens.flatMap((token: { bytes: number[] }) => token.bytes);
  expect(Buffer.from(bytes).toString()).toBe(text);
  const special = body.tokens.filter((token: { is_special: boolean }) => token.is_special);
  expect(special.map((token: { text: string }) => token.text)).toEqual([endOfText]);
  const [the] = body.words;
  expect([the.text, the.merging.first, the.scores]).toEqual(["the", ["t", "h", "e"], null]);
  expect(the.merging.steps.at(-1).token).toBe("the");
});

test("an answer's reward is that of training, and each prefix's that of the prefix", async () => {
  const messages = [{ role: "user", content: "In the beginning" }];
  const answers = ["God created", "the heaven and the earth"];
  const { body } = await server.post("/api/rewards", { model: "judge", messages, answers });
  const { model } = await loadRewardModel(folder.at("judge"), backend, new Random(1));
  const encoder = await encoderIn(folder.at("judge"));
  const rewardOf = async (all: Int32Array): Promise<number> =>
    model.scores(Tensor.from(backend, all, [1, all.length]), Int32Array.of(all.length - 1)).item();
  for (const [i, content] of answers.entries()) {
    const asked = { where: "test", messages, variables: {} };
    const { prompt: before, answer } = encodeAnswer(asked, { role: "assistant", content }, encoder);
    const { score: whole, tokens } = body.answers[i];
    expect(tokens.map(({ id }: { id: number }) => id)).toEqual([...answer]);
    expect(whole).toBeCloseTo(await rewardOf(Int32Array.of(...before, ...answer)), 4);
    expect(whole).toBe(tokens.at(-1).score);
    expect(tokens[0].score).toBeCloseTo(await rewardOf(Int32Array.of(...before, answer[0] ?? 0)), 4);
  }
});

test("the server tells of its requests, and lets one be cancelled by its name", async () => {
  const ask = { model: "writer", prompt: "the", max_tokens: 500, ignore_eos: true, n: 3, seed: 3 };
  const answer = server.post("/v1/completions", ask);
  let state = (await server.get("/api/server")).body;
  await until(async () => {
    state = (await server.get("/api/server")).body;
    return state.requests[0]?.sequences.some((one: { new_tokens: number }) => one.new_tokens > 2);
  });
  const [request] = state.requests;
  expect(request).toMatchObject({ model: "writer", sequences: [{ most_new_tokens: 500 }, {}, {}] });
  const writer = state.models.find(({ name }: { name: string }) => name === "writer");
  expect(writer.slots.map((slot: { request: string } | null) => slot?.request)).toEqual([request.name, request.name]);
  expect(writer).toMatchObject({ is_open: true, running: 3 });
  expect(writer.bytes).toBeGreaterThan(2 ** 20);
  expect((await server.post("/api/cancel", { id: request.id })).body).toEqual({ cancelled: request.id });
  const { status, body } = await answer;
  expect([status, body.error.code]).toEqual([409, "cancelled"]);
  await until(async () => (await server.metric("slots_busy")) === 0);
  expect((await server.post("/api/cancel", { id: request.id })).status).toBe(404);
  const closed = (await folder.start("--model", folder.at("writer"))).get("/api/server");
  expect((await closed).body.models).toMatchObject([{ is_open: false, bytes: null, context: null }]);
  expect((await server.get("/api/server")).body.latency.first_token.count).toBeGreaterThan(0);
});

test("what came with another key has no name, and cannot be cancelled", async () => {
  const keys = ["k".repeat(24), "l".repeat(24)];
  writeFileSync(folder.at("keys"), `${keys.join("\n")}\n`, { mode: 0o600 });
  const guarded = await folder.start("--model", folder.at("writer"), "--api-key-file", folder.at("keys"));
  const [own, other] = keys.map((key) => ({ authorization: `Bearer ${key}` }));
  const ask = { model: "writer", prompt: "the", max_tokens: 500, ignore_eos: true };
  const answer = guarded.post("/v1/completions", ask, own);
  let seen: { id: string | null }[] = [];
  await until(async () => {
    seen = (await guarded.get("/api/server", own)).body.requests;
    return seen.length > 0;
  });
  const id = seen[0]?.id;
  expect(id).toMatch(/^cmpl-/);
  const foreign = (await guarded.get("/api/server", other)).body.requests;
  expect(foreign.every((one: { id: string | null }) => one.id === null)).toBe(true);
  expect((await guarded.post("/api/cancel", { id }, other)).status).toBe(404);
  expect((await guarded.post("/api/cancel", { id })).status).toBe(401);
  expect((await guarded.post("/api/cancel", { id }, own)).status).toBe(200);
  expect((await answer).status).toBe(409);
});

const long = "context_length_exceeded";

test.each([
  ["/api/lens", { model: "judge", prompt }, "wrong_model"],
  ["/api/lens", { model: "writer", prompt: "the ".repeat(400) }, long],
  ["/api/lens", { model: "writer", prompt: "" }, null],
  ["/api/lens", { model: "writer", prompt, alternatives: 11 }, null],
  ["/api/attention", { model: "writer", prompt, layers: [2] }, null],
  ["/api/attention", { model: "writer", prompt, layers: [-1] }, null],
  ["/api/attention", { model: "writer", prompt: "a".repeat(9000) }, null],
  ["/api/rewards", { model: "writer", messages: [{ role: "user", content: "a" }], answers: ["b"] }, "wrong_model"],
  ["/api/rewards", { model: "judge", messages: [{ role: "user", content: "a" }], answers: [] }, null],
  [
    "/api/rewards",
    { model: "judge", messages: [{ role: "user", content: "a".repeat(2 ** 17) }], answers: ["b"] },
    long,
  ],
  ["/api/rewards", { model: "judge", messages: [{ role: "user", content: "a" }], answers: ["the ".repeat(600)] }, long],
  ["/api/words", { model: "nobody", text: "a" }, "model_not_found"],
])("%s refuses what it cannot answer, case %#", async (path, body, code) => {
  const answer = await server.post(path, body);
  expect(answer.status).toBe(code === "model_not_found" ? 404 : 400);
  expect(answer.body.error.code).toBe(code);
});
