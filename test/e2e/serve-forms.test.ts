import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { gpt2 } from "../../src/models/gpt-families.ts";
import { writeSmallModel } from "../small-model.ts";
import type { RunningServer } from "./running-server.ts";
import { ServedFolder } from "./served-folder.ts";
import { stemma } from "./stemma.ts";

/** ChatML's shape with calls of tools in marks, as Hermes has them. */
const template = `{%- if tools %}{{ tools | tojson }}<|im_start|>{% endif %}
{%- for message in messages %}{{ message.role }}: {{ message.content }}
{%- for call in message.tool_calls or [] %}
{{- '<tool_call>{"name": "' + call.function.name + '", "arguments": ' }}{{ call.function.arguments | tojson }}{{ '}</tool_call>' }}
{%- endfor %}<|im_start|>{% endfor %}
{%- if add_generation_prompt %}assistant: {% endif %}`;

const folder = new ServedFolder();
let server: RunningServer;
let openai: OpenAI;
beforeAll(async () => {
  await writeSmallModel(folder.at("writer"), gpt2, { n_positions: 512 });
  await writeSmallModel(folder.at("caller"), gpt2, { n_positions: 512 });
  writeFileSync(join(folder.at("caller"), "chat_template.jinja"), template);
  await writeSmallModel(folder.at("brief"), gpt2, { n_positions: 64 });
  server = await folder.start(...["writer", "caller", "brief"].flatMap((name) => ["--model", folder.at(name)]));
  openai = server.client();
}, 120_000);
afterAll(() => folder.remove());

const messages = [{ role: "user" as const, content: "the heaven" }];
const schema = {
  type: "object",
  properties: { kind: { enum: ["day", "night"] }, number: { type: "integer", minimum: 1, maximum: 7 } },
  required: ["kind", "number"],
  additionalProperties: false,
};

function fitsSchema(text: string | null | undefined): boolean {
  const { kind, number, ...rest } = JSON.parse(text ?? "");
  const isNumber = Number.isInteger(number) && number >= 1 && number <= 7;
  return ["day", "night"].includes(kind) && isNumber && Object.keys(rest).length === 0;
}

test("answers fit their schema, each by itself, streamed or not", async () => {
  const request = {
    ...{ model: "writer", messages, seed: 5, n: 4 },
    response_format: { type: "json_schema" as const, json_schema: { name: "day", schema } },
  };
  const { choices } = await openai.chat.completions.create(request);
  const texts = choices.map(({ message }) => message.content);
  expect(choices.map(({ finish_reason: finish }) => finish)).toEqual(Array(4).fill("stop"));
  expect(texts.every(fitsSchema)).toBe(true);
  expect(new Set(texts).size).toBeGreaterThan(1);
  const contents = ["", "", "", ""];
  for await (const chunk of await openai.chat.completions.create({ ...request, stream: true })) {
    for (const { index, delta } of chunk.choices) contents[index] += delta.content ?? "";
  }
  expect(contents).toEqual(texts);
});

test("tools are called with arguments that fit, and streams say the same", async () => {
  const request = {
    ...{ model: "caller", messages, seed: 2, tool_choice: "required" as const, parallel_tool_calls: false },
    tools: [{ type: "function" as const, function: { name: "find_day", parameters: schema } }],
  };
  const { choices } = await openai.chat.completions.create(request);
  const [choice] = choices;
  const [call] = choice?.message.tool_calls ?? [];
  if (call?.type !== "function") throw new Error(`no call: ${JSON.stringify(choice)}`);
  expect([choice?.finish_reason, choice?.message.content, call.function.name]).toEqual([
    "tool_calls",
    null,
    "find_day",
  ]);
  expect(fitsSchema(call.function.arguments)).toBe(true);
  const parts: string[] = [];
  for await (const chunk of await openai.chat.completions.create({ ...request, stream: true })) {
    for (const { delta } of chunk.choices) {
      for (const { function: called } of delta.tool_calls ?? [])
        parts.push(called?.name ?? "", called?.arguments ?? "");
    }
  }
  expect(parts.join("")).toBe(`find_day${call.function.arguments}`);
  const turns = [
    ...messages,
    { role: "assistant" as const, content: null, tool_calls: [call] },
    { role: "tool" as const, tool_call_id: call.id, content: "the third" },
  ];
  const after = await openai.chat.completions.create({
    ...request,
    messages: turns,
    tool_choice: "none",
    max_tokens: 4,
  });
  expect(after.choices[0]?.message.tool_calls).toBeUndefined();
});

test.each([
  [
    { response_format: { type: "json_schema", json_schema: { schema: { not: {} } } } },
    "response_format",
    /"not" is not supported/,
  ],
  [{ response_format: { type: "json_object" }, ignore_eos: true }, "ignore_eos", /has to end; leave it out/],
  [
    { tools: [{ type: "function", function: { name: "f" } }], tool_choice: "required", model: "writer" },
    "tools",
    /does not know them/,
  ],
])("what cannot be held is refused by its field: %j", async (more, param, message) => {
  const { status, body } = await server.post("/v1/chat/completions", {
    model: "caller",
    messages,
    max_tokens: 4,
    ...more,
  });
  expect([status, body.error.param]).toEqual([400, param]);
  expect(body.error.message).toMatch(message);
});

const baseFlags = (): string[] => ["--base-url", `${server.url}/v1`];

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await stemma([...args, "--json"], { cwd: folder.path });
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

/** Two tasks with rows, in the folder. */
function writeTasks(rows: readonly object[]): void {
  writeFileSync(folder.at("rows.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const task = `task: endings\ndataset_path: json\ndataset_kwargs: {data_files: {test: rows.jsonl}}\ntest_split: test\noutput_type: multiple_choice
doc_to_text: "{{start}}"\ndoc_to_choice: "{{choices}}"\ndoc_to_target: right\ntarget_delimiter: ""\nmetric_list: [{metric: acc}, {metric: acc_norm}, {metric: acc_mutual_info}]\n`;
  writeFileSync(folder.at("endings.yaml"), task);
  const rolling = `task: whole\ndataset_path: json\ndataset_kwargs: {data_files: {test: rows.jsonl}}\ntest_split: test\noutput_type: loglikelihood
doc_to_text: "{{start}}"\ndoc_to_target: " God created the heaven"\ntarget_delimiter: ""\nmetric_list: [{metric: perplexity}, {metric: acc}]\n`;
  writeFileSync(folder.at("whole.yaml"), rolling);
}

test("score and eval find at the server what they find in the folder", async () => {
  const [model, base] = [folder.at("writer"), baseFlags()];
  const text = ["--text", "In the beginning God created the earth 𝄞."];
  const [here, there] = [
    await json("score", "--model", model, ...text),
    await json("score", "--model", "writer", ...base, ...text),
  ];
  expect(there.loss).toBeCloseTo(here.loss as number, 6);
  const rows = ["the", "heaven", "God", "In the"].map((start, i) => ({
    start,
    choices: [" the", " earth and", "."],
    right: i % 3,
  }));
  writeTasks(rows);
  const ask = async (...args: string[]): Promise<Record<string, Record<string, { value: number }>>> => {
    const { results } = await json("eval", "--tasks", "endings.yaml,whole.yaml", ...args);
    return Object.fromEntries(
      (results as { task: string; metrics: never }[]).map(({ task: name, metrics }) => [name, metrics]),
    );
  };
  const [own, asked] = [await ask("--model", model), await ask("--model", "writer", ...base)];
  for (const [name, metrics] of Object.entries(own)) {
    for (const [metric, { value }] of Object.entries(metrics)) {
      const difference = Math.abs((asked[name]?.[metric]?.value ?? Number.NaN) - value);
      expect(difference, metric).toBeLessThanOrEqual(1e-6 * Math.max(1, value));
    }
  }
  const said = await stemma([
    "chat",
    "--model",
    "writer",
    ...base,
    "--message",
    "God",
    "--max-new-tokens",
    "5",
    "--temperature",
    "0",
  ]);
  const saidHere = await stemma([
    "chat",
    "--model",
    model,
    "--message",
    "God",
    "--max-new-tokens",
    "5",
    "--temperature",
    "0",
  ]);
  expect([said.code, said.stdout]).toEqual([0, saidHere.stdout]);
});

test("score and eval shorten at the server what is too long for it", async () => {
  const [model, base] = [folder.at("brief"), baseFlags()];
  const long = ["--text", "In the beginning God created the heaven and the earth. ".repeat(8)];
  const [longHere, longThere] = [
    await json("score", "--model", model, ...long),
    await json("score", "--model", "brief", ...base, ...long),
  ];
  // The server's windows are two tokens shorter, so that a few values have other tokens before them.
  expect(longThere.logProbs).toHaveLength((longHere.logProbs as unknown[]).length);
  expect(longThere.loss).toBeCloseTo(longHere.loss as number, 2);
  writeTasks([{ start: long[1], choices: [" God", " the"], right: 0 }]);
  const shortened = await stemma(["eval", "--tasks", "endings.yaml,whole.yaml", "--model", "brief", ...base], {
    cwd: folder.path,
  });
  const note = "1 of 1 prompts with 0 examples are longer than the 64 tokens that the model reads, and lost their";
  expect([shortened.code, shortened.stderr]).toEqual([0, expect.stringContaining(`endings: ${note} beginning`)]);
  expect(shortened.stderr).toContain(`whole: ${note} beginning`);
});
