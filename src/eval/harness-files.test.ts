import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { metricsOf } from "./eval-metrics.ts";
import { openTask } from "./task-file.ts";
import { taskPrompts } from "./task-prompts.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-harness-"));
afterAll(() => rmSync(root, { recursive: true }));

/** What plain task files of EleutherAI's evaluation harness say, field by field, with a row as their data sets have it. */
const files = {
  arc_easy: {
    yaml: `tag:
  - ai2_arc
task: arc_easy
dataset_path: allenai/ai2_arc
dataset_name: ARC-Easy
output_type: multiple_choice
training_split: train
validation_split: validation
test_split: test
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_target: "{{choices.label.index(answerKey)}}"
doc_to_choice: "{{choices.text}}"
should_decontaminate: true
doc_to_decontamination_query: "Question: {{question}}\\nAnswer:"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
  - metric: acc_norm
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
`,
    data: "allenai/ai2_arc/ARC-Easy",
    split: "test",
    row: (n: number) => ({
      ...{ id: `M_${n}`, question: `Which gas do plants take in on day ${n}?`, answerKey: "C" },
      choices: { text: ["helium", "neon", "carbon dioxide", "argon"], label: ["A", "B", "C", "D"] },
    }),
    expected: {
      context: "Question: Which gas do plants take in on day 0?\nAnswer:",
      continuations: [" helium", " neon", " carbon dioxide", " argon"],
      target: 2,
    },
  },
  sciq: {
    yaml: `task: sciq
dataset_path: sciq
dataset_name: null
output_type: multiple_choice
training_split: train
validation_split: validation
test_split: test
doc_to_text: "{{support.lstrip()}}\\nQuestion: {{question}}\\nAnswer:"
doc_to_target: 3
doc_to_choice: "{{[distractor1, distractor2, distractor3, correct_answer]}}"
should_decontaminate: true
doc_to_decontamination_query: "{{support}} {{question}}"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
`,
    data: "sciq",
    split: "test",
    row: (n: number) => ({
      ...{ question: `What falls ${n}?`, support: "  Rain falls.", distractor1: "fog", distractor2: "sun" },
      ...{ distractor3: "wind", correct_answer: "rain" },
    }),
    expected: {
      context: "Rain falls.\nQuestion: What falls 0?\nAnswer:",
      continuations: [" fog", " sun", " wind", " rain"],
      target: 3,
    },
  },
  piqa: {
    yaml: `task: piqa
dataset_path: baber/piqa
dataset_name: null
output_type: multiple_choice
training_split: train
validation_split: validation
test_split: null
doc_to_text: "Question: {{goal}}\\nAnswer:"
doc_to_target: label
doc_to_choice: "{{[sol1, sol2]}}"
should_decontaminate: true
doc_to_decontamination_query: goal
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
  - metric: acc_norm
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
`,
    data: "baber/piqa",
    split: "validation",
    row: (n: number) => ({ goal: `open a jar ${n}`, sol1: "turn the lid", sol2: "shake it", label: 0 }),
    expected: {
      context: "Question: open a jar 0\nAnswer:",
      continuations: [" turn the lid", " shake it"],
      target: 0,
    },
  },
} as const;

test.each(Object.entries(files))(
  "%s of the harness runs unchanged, zero-shot and with examples",
  async (name, file) => {
    const { yaml, data, split, row, expected } = file;
    const path = join(root, `${name}.yaml`);
    writeFileSync(path, yaml);
    for (const [part, count] of [
      [split, 3],
      ["train", 6],
    ] as const) {
      const rows = join(root, data, `${part}.jsonl`);
      mkdirSync(dirname(rows), { recursive: true });
      writeFileSync(rows, Array.from({ length: count }, (_, n) => `${JSON.stringify(row(n))}\n`).join(""));
    }
    const task = await openTask(path);
    const [first] = await taskPrompts(task, { shots: 0, limit: 0, seed: 1, dataFolder: root });
    expect(first).toMatchObject(expected);
    const [, , third] = await taskPrompts(task, { shots: 4, limit: 0, seed: 1, dataFolder: root });
    expect(third?.context.split(/Answer: /)).toHaveLength(5);
    expect(metricsOf(task.config).map((metric) => metric.name)).toContain("acc");
  },
);
