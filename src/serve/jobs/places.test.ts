import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { survey } from "./places.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-places-"));
afterAll(() => rmSync(root, { recursive: true }));

function write(...names: string[]): void {
  for (const name of names) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), "{}");
  }
}

test("models, adapters and data are found, and neither logs of runs nor what a link points to", async () => {
  write("runs/sft/settings.json", "runs/sft/metrics.jsonl", "runs/sft/job.json", "runs/sft/job.log");
  write("runs/sft/final/config.json", "runs/sft/final/tokenizer.json", "runs/sft/checkpoint-20/config.json");
  write("runs/lora/metrics.jsonl", "runs/lora/final/adapter_config.json", "runs/talks.jsonl", "runs/more/rows.csv.gz");
  write("outside/config.json", "secret.txt", "runs/notes.bin", "runs/.hidden/x.jsonl", "runs/node_modules/x.json");
  symlinkSync(join(root, "outside"), join(root, "runs/link"));
  symlinkSync(join(root, "secret.txt"), join(root, "runs/secret.txt"));
  const { places, jobs, runs } = await survey(join(root, "runs"));
  const found = places.map(({ name, kind }) => `${kind} ${name.slice(root.length + 1)}`);
  expect(found).toEqual([
    "file runs/talks.jsonl",
    "adapter runs/lora/final",
    "file runs/more/rows.csv.gz",
    "model runs/sft/checkpoint-20",
    "model runs/sft/final",
  ]);
  expect([...jobs]).toEqual([["sft", join(root, "runs/sft")]]);
  expect([...runs.keys()]).toEqual(["lora", "sft"]);
});

test("names that a command line reads otherwise, or that show otherwise than they are, cannot be chosen", async () => {
  const names = ["a,b.jsonl", "a=2.jsonl", "*.jsonl", "[x].jsonl", "x\u202ej.jsonl", "x\ny.jsonl", "größe 1.jsonl"];
  write(...names.map((name) => `odd/${name}`));
  const { places } = await survey(join(root, "odd"));
  expect(places.map(({ path }) => path)).toEqual([join(root, "odd", "größe 1.jsonl")]);
});

test("a folder that is not there has nothing in it", async () => {
  expect((await survey(join(root, "nothing"))).places).toEqual([]);
});
