import { expect, test } from "vitest";
import { openReference } from "../../src/backend/reference/index.ts";
import { embedTexts } from "../../src/generate/embed.ts";
import { openEmbedder } from "../../src/generate/embedder.ts";
import { encoderIn } from "../../src/models/encoder-in.ts";
import { loadRewardModel } from "../../src/models/reward-model.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { endOfText, tokenizer } from "../small-model.ts";
import { serveSmallModels } from "./served-folder.ts";

const { at, server, openai } = await serveSmallModels();

const prompt = "In the beginning";
const messages = [{ role: "user" as const, content: "the heaven" }];

test("an answer, and the same one as a stream", async () => {
  const request = { model: "writer", messages, max_completion_tokens: 10, seed: 3, n: 2 };
  const { choices, usage } = await openai.chat.completions.create(request);
  expect(choices.map(({ message, index }) => [index, message.role, message.refusal])).toEqual([
    [0, "assistant", null],
    [1, "assistant", null],
  ]);
  const stream = await openai.chat.completions.create({ ...request, stream: true });
  const contents = ["", ""];
  const roles: unknown[] = [];
  for await (const chunk of stream) {
    for (const { index, delta } of chunk.choices) {
      contents[index] += delta.content ?? "";
      if (delta.role) roles.push(delta.role);
    }
  }
  expect(contents).toEqual(choices.map(({ message }) => message.content));
  expect(roles).toEqual(["assistant", "assistant"]);
  expect(usage?.prompt_tokens).toBe(tokenizer.encode("the heaven").length);
});

test("log-probabilities add up to the message", async () => {
  const { choices } = await openai.chat.completions.create({
    ...{ model: "writer", messages, max_tokens: 8, temperature: 0, logprobs: true, top_logprobs: 2 },
  });
  const content = choices[0]?.logprobs?.content ?? [];
  const bytes = content.flatMap((token) => token.bytes ?? []);
  expect(Buffer.from(bytes).toString()).toBe(choices[0]?.message.content);
  for (const { logprob, token, top_logprobs: top } of content) {
    expect(top).toHaveLength(2);
    expect([top[0]?.token, top[0]?.logprob]).toEqual([token, logprob]); // the likeliest is taken
  }
});

test("parts and null are contents, a developer is the system, the assistant's last words are gone on with", async () => {
  const prompts = [
    [
      { role: "developer", content: [{ type: "text", text: "the" }] },
      { role: "user", content: " God" },
    ],
    [
      { role: "system", content: "the" },
      { role: "user", content: " God" },
      { role: "assistant", content: null },
    ],
    [
      { role: "user", content: "the" },
      { role: "assistant", content: " God" },
    ],
  ];
  for (const given of prompts) {
    const { status, body } = await server.post("/v1/chat/completions", { messages: given, max_tokens: 4, seed: 1 });
    expect([status, body.usage.prompt_tokens]).toEqual([200, tokenizer.encode("the God").length]);
  }
});

test("nobody forges a special token", async () => {
  const { body: text } = await server.post("/tokenize", { prompt: `a${endOfText}b`, add_special_tokens: false });
  const { body: chat } = await server.post("/tokenize", { messages: [{ role: "user", content: `a${endOfText}b` }] });
  const id = tokenizer.endOfText;
  expect([text.tokens.includes(id), chat.tokens.includes(id)]).toEqual([true, false]);
  expect((await server.post("/detokenize", { tokens: chat.tokens })).body).toEqual({ prompt: `a${endOfText}b` });
});

test("models, by names that may have any characters", async () => {
  const list = await openai.models.list();
  expect(list.data.map(({ id }) => id)).toEqual(["writer", "reader", "judge"]);
  expect(await openai.models.retrieve("judge")).toMatchObject({ id: "judge", kind: "reward" });
  await expect(openai.models.retrieve("a/b")).rejects.toThrow(/model "a\/b" is not here; this server has writer/);
});

test("the tokenizer, as lm_eval asks for it", async () => {
  expect((await server.get("/tokenizer_info")).body).toMatchObject({ eos_token: endOfText, bos_token: endOfText });
  const { body } = await server.post("/tokenize", { prompt: endOfText, add_special_tokens: false });
  expect(body).toMatchObject({ tokens: [tokenizer.endOfText], count: 1 });
  expect((await server.post("/apply-template", { messages })).body).toEqual({ prompt: "the heaven" });
});

test("embeddings are those of the library, as numbers and as base64", async () => {
  const texts = ["in the beginning", "god created the heaven and the earth"];
  const expected = await embedTexts(await openEmbedder(at("reader"), openReference()), texts);
  const { data, usage } = await openai.embeddings.create({ model: "reader", input: texts }); // asks for base64
  for (const [i, { embedding }] of data.entries()) {
    expect(embedding).toEqual([...(expected[i] ?? [])].map((value) => expect.closeTo(value, 4)));
  }
  const numbers = await openai.embeddings.create({ model: "reader", input: texts, encoding_format: "float" });
  expect(numbers.data[1]?.embedding).toEqual(data[1]?.embedding);
  const { tokenizer: words } = await encoderIn(at("reader"));
  expect(usage.prompt_tokens).toBe(texts.reduce((sum, text) => sum + words.encode(text).length + 2, 0)); // framed
});

test("rewards are those of the model", async () => {
  const texts = [prompt, "the God"];
  const { model } = await loadRewardModel(at("judge"), openReference(), null);
  const expected = await Promise.all(
    texts.map(async (text) => {
      const ids = tokenizer.encode(text);
      return (
        await model.scores(Tensor.from(model.backend, ids, [1, ids.length]), Int32Array.of(ids.length - 1)).floats()
      )[0];
    }),
  );
  const { status, body } = await server.post("/v1/score/evaluation", { model: "judge", messages: texts });
  expect([status, body.object]).toEqual([200, "score.evaluation"]);
  expect(body.scores).toEqual(expected.map((value) => expect.closeTo(value ?? 0, 4)));
});

test("health, metrics and the description of the interface", async () => {
  expect((await server.get("/health")).body).toEqual({ status: "ok" });
  expect(await server.metric("generated_tokens_total")).toBeGreaterThan(10);
  const { body } = await server.get("/openapi.json");
  expect(Object.keys(body.paths)).toContain("/v1/chat/completions");
  expect(body.paths["/v1/completions"].post.requestBody.content["application/json"].schema.properties.n).toMatchObject({
    ...{ type: "integer", minimum: 1, maximum: 16, nullable: true },
  });
});
