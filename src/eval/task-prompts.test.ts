import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { BadRows } from "../data/bad-rows.ts";
import { openTask, taskNames } from "./task-file.ts";
import type { Prompt } from "./task-prompts.ts";
import { taskPrompts } from "./task-prompts.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-tasks-"));
afterAll(() => rmSync(root, { recursive: true }));

const rows = [
  {
    question: "sky?",
    choices: { text: ["green", "blue"], label: ["A", "B"] },
    key: "B",
    n: 1,
    both: [0, 1],
    flag: true,
    list: ["a"],
    rate: 2,
    inner: { x: 1 },
  },
  {
    question: "grass?",
    choices: { text: ["green", "blue"], label: ["A", "B"] },
    key: "A",
    n: 0,
    both: [0],
    flag: false,
    list: [],
    rate: 0.5,
    note: "it's",
    inner: { y: "z" },
  },
  {
    question: "blood?",
    choices: { text: ["red", "blue", "black"], label: ["1", "2", "3"] },
    key: "1",
    n: 0,
    both: [0],
  },
];
writeFileSync(join(root, "rows.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));

async function prompts(yaml: string, shots = 0, bad?: BadRows): Promise<Prompt[]> {
  const path = join(root, "task.yaml");
  writeFileSync(path, yaml);
  const options = { shots, limit: 0, seed: 1, dataFolder: root, bad };
  return taskPrompts(await openTask(path), options);
}

const data = "dataset_path: json\ndataset_kwargs:\n  data_files:\n    test: rows.jsonl\ntest_split: test\n";
const choice = `task: colours\n${data}output_type: multiple_choice\n`;
const plain = `${choice}doc_to_text: "Q: {{question}}\\nA:"\ndoc_to_choice: "{{choices.text}}"\n`;

test("a choice by its label, as the harness writes it", async () => {
  const [first, , third] = await prompts(`${plain}doc_to_target: "{{choices.label.index(key)}}"\n`);
  expect(first).toMatchObject({ context: "Q: sky?\nA:", continuations: [" green", " blue"], target: 1 });
  expect(third).toMatchObject({
    continuations: [" red", " blue", " black"],
    choices: ["red", "blue", "black"],
    target: 0,
  });
});

test.each([
  ["n", "a column of indices"],
  ["{{n}}", "a template of an index"],
  ["{{choices.text[n]}}", "a template of the text"],
])("the right answer as %s: %s", async (target) => {
  const all = await prompts(`${plain}doc_to_target: "${target}"\n`);
  expect(all.map((prompt) => prompt.right)).toEqual([[1], [0], [0]]);
});

test("several right answers: by place, by text, as a template writes them", async () => {
  for (const target of ["both", "{{both}}", "{{[choices.text[0], choices.text[1]]}}", "{{choices.text[:2]}}"]) {
    const [first] = await prompts(`${plain}doc_to_target: "${target}"\n`);
    expect(first?.right).toEqual([0, 1]);
  }
});

test("values are written as Python writes them, numbers of a column alike, and what a row lacks is None", async () => {
  const text = '"{{flag}} {{list}} {{rate}} {{note}} {{inner}}"';
  const all = await prompts(`${choice}doc_to_text: ${text}\ndoc_to_choice: [a, b]\ndoc_to_target: n\n`);
  expect(all.map(({ context }) => context)).toEqual([
    "True ['a'] 2.0 None {'x': 1}",
    "False [] 0.5 it's {'y': 'z'}",
    "None None None None None",
  ]);
});

test("Python's re.sub is there as a filter", async () => {
  const yaml = `${choice}doc_to_text: "{{question | regex_replace('([a-z]+)\\\\?$', '<\\\\\\\\1>')}}"\ndoc_to_choice: [a, b]\ndoc_to_target: n\n`;
  expect((await prompts(yaml))[0]?.context).toBe("<sky>");
});

test("rows that are no question are left out where that is asked for, as questions and as examples", async () => {
  const bad = [
    '{"question": "sea?", "choices": {"text": ["blue"]}, "n": 0}',
    '{"question": 1',
    '{"question": "coal?"}',
  ];
  const lines = [bad[0], JSON.stringify(rows[0]), bad[1], JSON.stringify(rows[1]), bad[2], JSON.stringify(rows[2])];
  writeFileSync(join(root, "bad.jsonl"), lines.join("\n"));
  const yaml = `${plain}doc_to_target: n\n`.replace("test: rows.jsonl", "test: bad.jsonl");
  await expect(prompts(yaml, 1)).rejects.toThrow("bad.jsonl, line 3: is not JSON");
  const skipped = new BadRows("skip");
  const [kept, clean] = [await prompts(yaml, 1, skipped), await prompts(`${plain}doc_to_target: n\n`, 1)];
  expect(skipped.count).toBe(3);
  expect(kept.map(({ index }) => index)).toEqual([1, 2, 4]);
  expect(kept.map(({ context }) => context)).toEqual(clean.map(({ context }) => context));
  const none = prompts(yaml.replace("doc_to_target: n", "doc_to_target: '7'"), 0, new BadRows("skip"));
  await expect(none).rejects.toThrow("data: all 6 rows are bad; the first: ");
});

test("examples come before the question, are never the question, and follow from the seed", async () => {
  const yaml = `${plain}doc_to_target: n\ndescription: "Colours.\\n\\n"\nfewshot_delimiter: "\\n--\\n"\n`;
  const all = await prompts(yaml, 2);
  for (const [i, { context }] of all.entries()) {
    expect(context).toMatch(/^Colours\.\n\nQ: \w+\?\nA: \w+\n--\nQ: \w+\?\nA: \w+\n--\nQ: \w+\?\nA:$/);
    expect(context.split(rows[i]?.question ?? "")).toHaveLength(2);
  }
  expect(await prompts(yaml, 2)).toEqual(all);
  await expect(prompts(yaml, 3)).rejects.toThrow("has 3 examples, 3 and one more are needed");
});

test("the first examples are the same for all questions, but for the question itself", async () => {
  const yaml = `${plain}doc_to_target: n\nfewshot_config:\n  sampler: first_n\n`;
  const shown = (await prompts(yaml, 1)).map(({ context }) => context.split("\n")[0]);
  expect(shown).toEqual(["Q: grass?", "Q: sky?", "Q: sky?"]);
});

test("text to generate, with several right answers; a likelihood, with its continuation", async () => {
  const generate = `task: t\n${data}output_type: generate_until\ndoc_to_text: question\ndoc_to_target: "{{choices.text}}"\n`;
  expect((await prompts(generate))[0]).toMatchObject({
    context: "sky?",
    continuations: [],
    answers: ["green", "blue"],
  });
  const likelihood = `task: t\n${data}output_type: loglikelihood\ndoc_to_text: question\ndoc_to_target: " {{key}}"\n`;
  expect((await prompts(likelihood))[0]).toMatchObject({ continuations: [" B"], target: " B" });
});

test("a file may take over another", async () => {
  writeFileSync(join(root, "base.yaml"), `${plain}doc_to_target: n\n`);
  expect((await prompts('include: base.yaml\ntask: other\ndoc_to_text: "{{key}}!"\n'))[0]?.context).toBe("B!");
});

test.each([
  [`${plain}doc_to_target: !function utils.answer\n`, /doc_to_target calls the Python function utils\.answer/],
  [`${plain}doc_to_target: n\nprocess_docs: x\n`, /uses process_docs, which is not supported/],
  [`${plain}doc_to_target: n\nunknown_thing: 1\n`, /uses unknown_thing, which is not supported/],
  [`${plain}doc_to_target: n\noutput: [`, /is not YAML/],
  [`${plain}doc_to_target: "{{key}}"\n`, /row 1: the right answer is 'B', none of the 2 choices \['green', 'blue'\]/],
  [
    `${plain}doc_to_target: "{{nothing}}"\n`,
    /row 1: the template .* 'nothing' is undefined; its columns are question, /,
  ],
  [`${plain}doc_to_target: "{{key.replace('B', '')}}"\n`, /row 1: the right answer is '', none of/],
  [
    `${choice}doc_to_text: "{{nothing}}"\ndoc_to_choice: "{{choices.text}}"\ndoc_to_target: n\n`,
    /row 1: the template "\{\{nothing\}\}" asks for what the row does not have: 'nothing' is undefined/,
  ],
  [
    `${choice}doc_to_text: "{{question.nothing()}}"\ndoc_to_choice: [a, b]\ndoc_to_target: n\n`,
    /'str object' has no attribute 'nothing'/,
  ],
  [`${choice}doc_to_text: "{{question"\ndoc_to_choice: [a, b]\ndoc_to_target: n\n`, /is not a valid Jinja template/],
  [
    `${choice}doc_to_text: question\ndoc_to_choice: "{{key}}"\ndoc_to_target: n\n`,
    /doc_to_choice gives 'B', a list of two or more/,
  ],
  [
    `${choice}doc_to_text: n\ndoc_to_choice: [a, b]\ndoc_to_target: n\n`,
    /a context that differs by choice; this is not/,
  ],
  [
    `${choice}doc_to_text: list\ndoc_to_choice: [a, b]\ndoc_to_target: n\n`,
    /doc_to_text gives \['a'\], a text is needed/,
  ],
  [
    `task: t\ndataset_path: org/name\ntest_split: test\ndoc_to_target: n\n`,
    /org\/name are not here: put them into .*org\/name\/test\.jsonl/,
  ],
])("refuses %j", async (yaml, message) => {
  await expect(prompts(yaml)).rejects.toThrow(message);
});

test("suggests a name that exists", async () => {
  await expect(openTask("next-vers")).rejects.toThrow("next-verse");
  await expect(openTask("next-vers.yaml")).rejects.toThrow("there is no file next-vers.yaml");
});

test.each(taskNames())("%s, which comes with the package, is whole", async (name) => {
  const task = await openTask(name);
  expect(task.config.task).toBe(name);
  if (!task.config.dataset_path.startsWith("stemma/next")) return;
  const [first] = await taskPrompts(task, { shots: 0, limit: 3, seed: 1, dataFolder: root });
  expect(first?.continuations.every((text) => text.length > 0)).toBe(true);
});
