import { expect, test } from "vitest";
import { until } from "./running-server.ts";
import { serveSmallModels } from "./served-folder.ts";

const { folder, at, server, openai } = await serveSmallModels();

/** Numbers of slots and of requests as llama.cpp's server is tested with. */
const cases = [
  [1, 3],
  [2, 2],
  [2, 4],
  [4, 2],
  [4, 6],
] as const;
const prompts = [
  "In the beginning",
  "God created",
  "the heaven",
  "and the earth",
  "the",
  "In the heaven and the earth",
];
const requests = prompts.map((prompt, seed) => ({ prompt, seed, max_tokens: 120 + 10 * seed, ignore_eos: true }));

test("as many slots as there are take as many requests as come, and each is told what it is told alone", async () => {
  const alone: string[] = [];
  for (const request of requests) alone.push((await server.post("/v1/completions", request)).body.choices[0].text);
  for (const [slots, count] of cases) {
    const one = await folder.start("--model", at("writer"), "--slots", String(slots), "--threads", "1");
    await one.post("/v1/completions", { prompt: "a", max_tokens: 1 }); // opens it
    let isOver = false;
    let most = 0;
    const watch = until(async () => {
      most = Math.max(most, await one.metric("slots_busy"));
      return isOver;
    });
    const answers = await Promise.all(requests.slice(0, count).map((request) => one.post("/v1/completions", request)));
    isOver = true;
    await watch;
    expect(answers.map(({ body }) => body.choices[0].text)).toEqual(alone.slice(0, count));
    expect(most).toBeLessThanOrEqual(slots);
    expect(await one.metric("slots_busy")).toBe(0);
    await one.stop("SIGKILL");
  }
});

test("ids and texts of the same prompts, side by side, are gone on with alike", async () => {
  const { body: given } = await server.post("/tokenize", { prompt: prompts[0] });
  const ask = async (prompt: unknown): Promise<string[]> =>
    (await server.post("/v1/completions", { prompt, temperature: 0, max_tokens: 10 })).body.choices.map(
      ({ text }: { text: string }) => text,
    );
  const [single] = await ask(prompts[0]);
  expect(await ask([given.tokens, given.tokens])).toEqual([single, single]);
  expect(await ask([prompts[0], prompts[0]])).toEqual([single, single]);
});

test("what does not fit ends at the room there is", async () => {
  const ids = Array.from({ length: 500 }, (_, i) => 10 + (i % 200));
  const { status, body } = await server.post("/v1/completions", { prompt: ids, max_tokens: 100, ignore_eos: true });
  expect([status, body.usage.completion_tokens, body.choices[0].finish_reason]).toEqual([200, 12, "length"]);
});

test("a token whose bias is -100 is never said", async () => {
  const request = { prompt: "the", temperature: 0, max_tokens: 20, logprobs: 0 };
  const said = async (more: object): Promise<string[]> =>
    (await server.post("/v1/completions", { ...request, ...more })).body.choices[0].logprobs.tokens;
  const usual = await said({});
  const ids = await Promise.all(
    [...new Set(usual)].map(async (prompt) => (await server.post("/tokenize", { prompt })).body.tokens as number[]),
  );
  const bias = Object.fromEntries(ids.flat().map((id) => [id, -100]));
  const other = await said({ logit_bias: bias });
  expect(other.filter((token) => usual.includes(token) && !token.includes("\ufffd"))).toEqual([]);
});

test("a streamed chat's log-probabilities add up to its text, and are those of the whole answer", async () => {
  const request = {
    ...{ model: "writer", messages: [{ role: "user" as const, content: "the heaven" }], seed: 4, max_tokens: 12 },
    ...{ logprobs: true, top_logprobs: 5 },
  };
  const whole = await openai.chat.completions.create(request);
  const stream = await openai.chat.completions.create({ ...request, stream: true });
  const ids = new Set<string>();
  const tokens: { token: string; logprob: number; bytes: number[] | null }[] = [];
  let text = "";
  for await (const { id, choices } of stream) {
    ids.add(id);
    for (const { delta, logprobs } of choices) {
      text += delta.content ?? "";
      tokens.push(...(logprobs?.content ?? []));
    }
  }
  expect(tokens).toEqual(whole.choices[0]?.logprobs?.content);
  expect(Buffer.from(tokens.flatMap(({ bytes }) => bytes ?? [])).toString()).toBe(text);
  expect(tokens.every(({ logprob }) => logprob <= 0)).toBe(true);
  expect(ids.size).toBe(1);
});
