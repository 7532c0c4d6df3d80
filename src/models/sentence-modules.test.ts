import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { CheckpointError, UnsupportedError } from "../core/errors.ts";
import { plainModules, readSentenceModules, sentenceFiles } from "./sentence-modules.ts";

const root = mkdtempSync(join(tmpdir(), "sentence-modules-"));
afterAll(() => rmSync(root, { recursive: true }));

let folders = 0;
/** A new folder with some files. */
function folderOf(files: Record<string, unknown>): string {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  for (const [name, value] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), typeof value === "string" ? value : JSON.stringify(value));
  }
  return folder;
}

const module = (kind: string, path: string): object => ({ type: `sentence_transformers.models.${kind}`, path });
const list = [module("Transformer", ""), module("Pooling", "1_Pooling")];

test("folders of all ages are read: flags or names of modes, limits in one file or the other", async () => {
  const old = folderOf({
    "modules.json": [
      module("Transformer", "0_BERT"),
      module("Pooling", "1_Pooling"),
      module("Normalize", "2_Normalize"),
    ],
    "1_Pooling/config.json": {
      word_embedding_dimension: 4,
      pooling_mode_cls_token: true,
      pooling_mode_mean_tokens: false,
    },
    "0_BERT/sentence_bert_config.json": { max_seq_length: 128, do_lower_case: true },
  });
  expect(await readSentenceModules(old)).toEqual({
    modelPath: join(old, "0_BERT"),
    modules: { ...plainModules, pooling: ["cls"], maxLength: 128, lowerCases: true },
  });
  const prompts = { query: "query: ", passage: "passage: ", empty: null };
  const recent = folderOf({
    "modules.json": [
      { type: "sentence_transformers.base.modules.transformer.Transformer", path: "" },
      { type: "sentence_transformers.sentence_transformer.modules.pooling.Pooling", path: "1_Pooling" },
    ],
    "1_Pooling/config.json": { embedding_dimension: 4, pooling_mode: ["max", "lasttoken"], include_prompt: false },
    "tokenizer_config.json": { model_max_length: 512 },
    "config_sentence_transformers.json": { prompts, default_prompt_name: "query", similarity_fn_name: "dot" },
  });
  expect((await readSentenceModules(recent))?.modules).toEqual({
    ...{ pooling: ["max", "lasttoken"], includesPrompt: false, normalizes: false, maxLength: 512, lowerCases: false },
    ...{ prompts: { query: "query: ", passage: "passage: ", empty: "" }, defaultPrompt: "query", similarity: "dot" },
  });
  const endless = folderOf({ "modules.json": list, "tokenizer_config.json": { model_max_length: 1e30 } });
  expect((await readSentenceModules(endless))?.modules.maxLength).toBeNull();
  expect(await readSentenceModules(folderOf({}))).toBeNull();
});

test.each([
  [plainModules],
  [
    {
      ...plainModules,
      pooling: ["lasttoken", "mean"] as const,
      normalizes: false,
      maxLength: 12,
      prompts: { q: "q: " },
    },
  ],
])("what is written is read again %#", async (modules) => {
  expect((await readSentenceModules(folderOf(sentenceFiles(modules, 4))))?.modules).toEqual(modules);
});

test.each([
  [{ "modules.json": "[{" }, CheckpointError, "modules.json: is not valid JSON"],
  [{ "modules.json": {} }, CheckpointError, "modules.json: the value must be a list, got {}"],
  [{ "modules.json": [...list, module("Dense", "2_Dense")] }, UnsupportedError, "has a module Dense"],
  [{ "modules.json": [module("WordEmbeddings", "")] }, UnsupportedError, "has a module WordEmbeddings"],
  [{ "modules.json": [list[0]] }, UnsupportedError, "has no module Pooling"],
  [
    { "modules.json": list, "1_Pooling/config.json": { pooling_mode: "best" } },
    CheckpointError,
    'pooling_mode must be another kind of value, got "best"',
  ],
  [
    { "modules.json": list, "sentence_bert_config.json": { max_seq_length: -1 } },
    CheckpointError,
    "max_seq_length must be more than 0, got -1",
  ],
])("%j is refused", async (files, error, message) => {
  const reading = readSentenceModules(folderOf(files));
  await expect(reading).rejects.toThrow(error);
  await expect(reading).rejects.toThrow(message);
});
