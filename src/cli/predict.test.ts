import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { runCommand } from "../../test/run-command.ts";
import { writeSmallModel } from "../../test/small-model.ts";
import { openReference } from "../backend/reference/index.ts";
import { writeModelFolder } from "../checkpoint/model-folder.ts";
import { Random } from "../core/random.ts";
import { exportGguf } from "../models/gguf/files.ts";
import { families } from "../models/index.ts";
import { Initializer } from "../nn/parameters.ts";
import { finetune } from "../stages/finetune.ts";
import { modelContents } from "../stages/pretrain/model.ts";
import { runStage } from "../stages/run-stage.ts";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import { generate } from "./generate.ts";
import { predict } from "./predict.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-predict-"));
afterAll(() => rmSync(root, { recursive: true }));

test("a classifier whose config says only what transformers writes is asked as its tokenizer frames texts", async () => {
  const at = (name: string): string => join(root, `others-${name}`);
  const tokenizer = trainByteLevelBpe(["a b"], { vocabularySize: 260 });
  const shape = { vocabularySize: tokenizer.vocabularySize, context: 16, width: 8, layers: 1, heads: 2, dropout: 0 };
  const { llama } = families;
  const model = llama.create(llama.shaped(shape), new Initializer(openReference(), new Random(1)));
  await writeModelFolder(at("base"), modelContents(llama, model, tokenizer));
  const rows = [..."abcdefgh"].map((letter, i) => ({ text: letter, label: i % 2 }));
  writeFileSync(at("rows.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const training = { task: "classification", model: at("base"), data: [at("rows.jsonl")], output: at("run") };
  await runStage(finetune, finetune.settings.parse({ ...training, threads: 1, steps: 3, validationShare: 0.3 }), {});
  const answers = async (): Promise<string> => {
    const asked = { model: at("run/final"), data: [at("rows.jsonl")], output: at("answers.jsonl"), threads: 1 };
    await runCommand(predict, { ...asked, overwrite: true });
    return readFileSync(at("answers.jsonl"), "utf8");
  };
  const before = await answers();
  const file = at("run/final/config.json");
  const { task_specific_params: _, ...config } = JSON.parse(readFileSync(file, "utf8"));
  writeFileSync(file, JSON.stringify(config));
  expect(await answers()).toBe(before);
  const unnamed = { ...config, id2label: { 0: "LABEL_0", 1: "LABEL_1" } };
  writeFileSync(file, JSON.stringify(unnamed));
  expect(await answers()).toContain('"prediction":"LABEL_');
  const asked = { model: at("run/final"), data: [at("moods.jsonl")], output: at("moods-answers.jsonl"), threads: 1 };
  const moods = [
    { text: "a", label: "good" },
    { text: "b", label: "bad" },
  ];
  writeFileSync(at("moods.jsonl"), moods.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const { shown } = await runCommand(predict, asked);
  expect(shown).toMatch(
    /such as "good", are none of the model's \(LABEL_0, LABEL_1\): no accuracy is told\n2 answers in .*\n$/,
  );
  expect(readFileSync(at("moods-answers.jsonl"), "utf8")).toMatch(
    /^{"text":"a","label":"good","prediction":"LABEL_\d"/,
  );
  const mixed = [...moods, { text: "c", label: "LABEL_1" }, { text: "d" }];
  writeFileSync(at("moods.jsonl"), mixed.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const { shown: partly } = await runCommand(predict, { ...asked, overwrite: true });
  expect(partly).toContain(
    'predict: of 3 rows 2 have a class, such as "good", that is none of the model\'s (LABEL_0, LABEL_1): ' +
      "they are answered, and accuracy is that of the 1 other\n",
  );
  expect(partly).toMatch(/held out +1 example\n/);
  expect(partly).toMatch(/4 answers in .*\n$/);
  await expect(runCommand(generate, { model: at("run/final"), prompt: ["a"] })).rejects.toThrow(
    "is a classifier (LlamaForSequenceClassification), which writes no text; stemma predict asks it",
  );
  writeFileSync(file, JSON.stringify({ ...config, problem_type: "multi_label_classification" }));
  await expect(answers()).rejects.toThrow("only models that choose one are asked");
  writeFileSync(file, JSON.stringify({ ...config, id2label: { 0: "reward" }, label2id: { reward: 0 } }));
  await expect(answers()).rejects.toThrow(
    "is a reward model, which knows no classes; stemma reward --check measures it",
  );
});

test("answers stand in the rows, whose own columns are kept, and replace no file", async () => {
  const at = (name: string): string => join(root, name);
  const tokenizer = trainByteLevelBpe(["a b"], { vocabularySize: 260 });
  const shape = { vocabularySize: tokenizer.vocabularySize, context: 16, width: 8, layers: 1, heads: 2, dropout: 0 };
  const { gpt2 } = families;
  const model = gpt2.create(gpt2.shaped(shape), new Initializer(openReference(), new Random(1)));
  await writeModelFolder(at("base"), modelContents(gpt2, model, tokenizer));
  const pairs = [..."abcdefgh"].map((letter, i) => ({ first: `z${letter}`, second: letter, label: i % 2 }));
  writeFileSync(at("pairs.jsonl"), pairs.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const training = { task: "similarity", model: at("base"), data: [at("pairs.jsonl")], output: at("run"), threads: 1 };
  await runStage(finetune, finetune.settings.parse({ ...training, steps: 1, validationShare: 0.3 }), {});

  const rows = [
    { id: 7, first: "z", second: "a", note: null },
    { id: 8, first: "a", second: "z", extra: ["kept"] },
  ];
  writeFileSync(at("new.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const asked = { model: at("run/final"), data: [at("new.jsonl")], output: at("answers.jsonl"), threads: 1 };
  await runCommand(predict, asked);
  const answers = (): Record<string, unknown>[] =>
    readFileSync(at("answers.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  const [one, other] = answers();
  const { prediction, probabilities, ...own } = one ?? {};
  expect(own).toEqual(rows[0]);
  expect(other).toEqual({ ...rows[1], prediction, probabilities }); // the same pair the other way round
  await expect(runCommand(predict, asked)).rejects.toThrow(
    "already exists; choose another --output or add --overwrite",
  );
  await runCommand(predict, { ...asked, overwrite: true });
  await expect(runCommand(predict, { ...asked, output: at("new.jsonl"), overwrite: true })).rejects.toThrow(
    "new.jsonl is what is read, and would be lost",
  );
  const again = { ...asked, data: [at("answers.jsonl")], output: at("more.jsonl") };
  await expect(runCommand(predict, again)).rejects.toThrow('has a column "prediction" already');
});

test("what is no model of a task is told what can be asked of it, and a folder is no file to write", async () => {
  const at = (name: string): string => join(root, `none-${name}`);
  await writeSmallModel(at("base"), families.llama);
  await exportGguf(at("base"), at("base.gguf"), "F32");
  writeFileSync(at("rows.jsonl"), '{"text":"a"}\n');
  const asked = { data: [at("rows.jsonl")], output: at("answers.jsonl"), threads: 1 };
  await expect(runCommand(predict, { ...asked, model: at("base.gguf") })).rejects.toThrow(
    "base.gguf: is no model of a task; stemma finetune teaches it one, stemma generate asks it as it is",
  );
  await expect(runCommand(predict, { ...asked, model: at("base") })).rejects.toThrow(
    "base: is a LlamaForCausalLM, not a model of a task; stemma finetune teaches it one",
  );
  await expect(runCommand(predict, { ...asked, model: at("base"), output: root })).rejects.toThrow(
    "is a folder; give --output the name of a file",
  );
});
