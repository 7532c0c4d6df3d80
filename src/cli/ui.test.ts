import { cpSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { writeSmallModel } from "../../test/small-model.ts";
import { gpt2 } from "../models/gpt-families.ts";
import { hasScreen } from "./open-browser.ts";
import { modelsOf } from "./ui.ts";

const runs = mkdtempSync(join(tmpdir(), "stemma-ui-"));
afterAll(() => rmSync(runs, { recursive: true }));

test("models of runs are found, the newest first, with names that tell them apart; what is none is left out", async () => {
  const model = join(runs, "first/sft/final");
  await writeSmallModel(model, gpt2);
  for (const [i, run] of ["second/sft", "second/ppo", "odd name=1"].entries()) {
    cpSync(model, join(runs, run, "final"), { recursive: true });
    utimesSync(join(runs, run, "final"), 2_000_000_000 + i, 2_000_000_000 + i);
  }
  mkdirSync(join(runs, "broken/final"), { recursive: true });
  writeFileSync(join(runs, "broken/final/config.json"), "{}");
  for (const run of ["first/sft", "second/sft", "second/ppo", "odd name=1", "broken"]) {
    writeFileSync(join(runs, run, "metrics.jsonl"), "");
  }
  const notes: string[] = [];
  expect(await modelsOf(runs, (line) => notes.push(line))).toEqual([
    `odd_name_1=${join(runs, "odd name=1/final")}`,
    `ppo=${join(runs, "second/ppo/final")}`,
    `sft=${join(runs, "second/sft/final")}`,
    `first-sft=${join(runs, "first/sft/final")}`,
  ]);
  const [, ...others] = await modelsOf(runs, () => {}, ["ppo", "odd_name_1"]);
  expect(others[0]).toBe(`second-ppo=${join(runs, "second/ppo/final")}`);
  expect(notes).toEqual([expect.stringMatching(/broken\/final is left out: /)]);
  expect(await modelsOf(join(runs, "nothing"), () => {})).toEqual([]);
});

test("a browser is opened where somebody sees it", () => {
  expect(hasScreen("linux", { DISPLAY: ":0" })).toBe(true);
  expect(hasScreen("linux", {})).toBe(false);
  expect(hasScreen("darwin", {})).toBe(true);
  expect(hasScreen("darwin", { SSH_CONNECTION: "10.0.0.1 1 10.0.0.2 22" })).toBe(false);
  expect(hasScreen("win32", { CI: "true" })).toBe(false);
});
