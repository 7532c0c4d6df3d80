import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { gpt2 } from "../../src/models/gpt-families.ts";
import { writeSmallModel } from "../small-model.ts";
import type { RunningServer } from "./running-server.ts";
import { ServedFolder } from "./served-folder.ts";

/** Templates that work for most of what is asked. At `loop` they compute for many seconds, at `fill` they take all memory. */
const template = `{%- for message in messages %}{{ message.role }}: {{ message.content }}<|im_end|>{% endfor %}
{%- if messages[0].content == 'loop' %}
{%- set text = 'ab' * 5000000 %}{% for i in range(100000) %}{% set other = text | replace('a', 'bc') %}{% endfor %}
{%- elif messages[0].content == 'fill' %}
{%- set all = namespace(items=[]) %}
{%- for i in range(2000) %}{% set all.items = [all.items, range(1000) | list] %}{% for j in range(900) %}{% set all.items = [all.items, 'x' * 100000 ~ j] %}{% endfor %}{% endfor %}
{%- endif %}
{%- if add_generation_prompt %}assistant: {% endif %}`;
const hanging = `{%- set text = 'ab' * 5000000 %}{% for i in range(100000) %}{% set other = text | replace('a', 'bc') %}{% endfor %}x`;

const folder = new ServedFolder();
let server: RunningServer;
beforeAll(async () => {
  for (const [name, source] of Object.entries({ odd: template, stuck: hanging })) {
    await writeSmallModel(folder.at(name), gpt2, { n_positions: 512 });
    writeFileSync(join(folder.at(name), "chat_template.jinja"), source);
  }
  server = await folder.start("--model", folder.at("odd"), "--model", folder.at("stuck"));
}, 120_000);
afterAll(() => folder.remove());

function said(content: string, model = "odd"): object {
  return { model, messages: [{ role: "user", content }], max_tokens: 4, temperature: 0 };
}

test("a template that takes too long is ended; others are answered meanwhile, and the next conversation is written", async () => {
  const before = await server.post("/v1/chat/completions", said("the heaven"));
  expect(before.status).toBe(200);
  let isOver = false;
  const hopeless = server.post("/v1/chat/completions", said("loop")).finally(() => (isOver = true));
  const behind = server.post("/v1/chat/completions", said("the heaven"));
  for (let i = 0; i < 20; i++) expect((await server.get("/health")).status).toBe(200);
  expect(isOver).toBe(false);
  const { status, body } = await hopeless;
  expect([status, body.error]).toMatchObject([
    400,
    { code: "template_refused", message: expect.stringContaining("chat template: takes more than 1000 ms") },
  ]);
  expect((await behind).body.choices).toEqual(before.body.choices);
}, 60_000);

test("a template that fills the memory is ended, and the server goes on", async () => {
  const { status, body } = await server.post("/apply-template", said("fill"));
  expect([status, body.error.code]).toEqual([400, "template_refused"]);
  expect(body.error.message).toMatch(/takes more than (1000 ms|256 MiB)|makes more than|takes more than \d+ steps/);
  expect((await server.post("/apply-template", said("a"))).body).toEqual({ prompt: "user: a<|im_end|>assistant: " });
}, 60_000);

test("a model whose template never ends goes on texts", async () => {
  const { status } = await server.post("/v1/completions", { model: "stuck", prompt: "the heaven", max_tokens: 2 });
  expect(status).toBe(200);
  const refused = await server.post("/v1/chat/completions", said("a", "stuck"));
  expect(refused.body.error.message).toContain("takes more than 1000 ms");
}, 60_000);
