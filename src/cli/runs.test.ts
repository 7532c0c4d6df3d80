import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runCommand } from "../../test/run-command.ts";
import { DataError, SettingsError } from "../core/errors.ts";
import { runs, sizeText } from "./runs.ts";
import { runsPlot } from "./runs-plot.ts";
import { runsShow } from "./runs-show.ts";
import { WatchedRuns } from "./runs-watch.ts";
import { sparkline } from "./sparkline.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stemma-runs-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function writeRun(name: string, command: string, settings: object, metrics: readonly object[]): string {
  const path = join(folder, name);
  mkdirSync(path);
  writeFileSync(join(path, "settings.json"), JSON.stringify({ command, settings }));
  writeFileSync(join(path, "metrics.jsonl"), metrics.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return path;
}

const falling = (from: number): object[] =>
  [1, 2, 3].map((step) => ({ step, loss: from - step, tokens: 10, tokens_per_second: 5 }));

test("runs are listed with what differs among those of one stage", async () => {
  writeRun("a", "pretrain", { steps: 3, width: 64, seed: 1, output: "a" }, falling(5));
  writeRun("b", "pretrain", { steps: 9, width: 128, seed: 1, output: "b", prompts: ["two\nlines"] }, falling(6));
  writeRun("c", "ppo", { width: 1 }, [{ step: 2, "objective/scores": 0.5, "objective/kl": 1.5, "policy/x": 3 }]);
  const { shown, result } = await runCommand(runs, { folders: [folder] });
  const lines = shown
    .trimEnd()
    .split("\n")
    .map((line) => line.replace(/^\S*(?=run-|a |b |c )/, "").trimEnd());
  expect(lines.slice(1).map((line) => line.replace(/^\S+\s+/, ""))).toEqual(
    [
      "pretrain     –    3/3  stopped  loss 2.000              6.0 s  steps 3, width 64, prompts –",
      "pretrain     –    3/9  stopped  loss 3.000              6.0 s  steps 9, width 128, prompts two lines",
      "ppo          –      2  stopped  reward 0.5000, KL 1.500      –  –",
    ].map((line) => expect.stringMatching(new RegExp(line.replaceAll(/[.,/]/g, "\\$&").replaceAll(/ +/g, " +")))),
  );
  expect(result).toMatchObject({
    runs: [{ command: "pretrain", step: 3, steps: 3 }, { steps: 9 }, { command: "ppo", steps: null }],
  });
});

test("runs that are watched get a line when they change, and one that begins meanwhile, too", async () => {
  const path = writeRun("a", "pretrain", { steps: 9 }, falling(5));
  const stop = new AbortController();
  const looks: string[][] = [];
  const watched = new WatchedRuns([folder]);
  watched.changed(await watched.read());
  await watched.follow(0.01, stop.signal, (changed) => {
    looks.push(changed.map(({ command, step }) => `${command} ${step}`));
    if (looks.length === 1) appendFileSync(join(path, "metrics.jsonl"), '{"step":4,"loss":1.5}\n');
    if (looks.length === 2) writeRun("b", "sft", { steps: 5 }, [{ step: 1, loss: 3 }]);
    if (looks.length === 3) stop.abort();
  });
  expect(looks).toEqual([[], ["pretrain 4"], ["sft 1"]]);
});

test("a watch shows the list and goes on until it is ended", async () => {
  writeRun("a", "pretrain", { steps: 9 }, falling(5));
  const outside = { stopSignal: () => AbortSignal.timeout(30) };
  const { shown, result } = await runCommand(runs, { folders: [folder], watch: 0.1 }, [], outside);
  expect(shown).toMatch(/a +pretrain .* 3\/9 +stopped/);
  expect(result).toMatchObject({ runs: [{ step: 3 }] });
});

test.each([60, 80, 140])("the list fits a terminal of %d columns", async (columns) => {
  writeRun(
    "a-run-with-a-long-name-of-its-own",
    "pretrain",
    { steps: 10000, width: 64, validation: "x".repeat(40) },
    falling(5),
  );
  writeRun("b", "ppo", { width: 1 }, [{ step: 2, "objective/scores": 0.5, "objective/kl": 1.5, "policy/x": 3 }]);
  const { shown } = await runCommand(runs, { folders: [folder] }, [], { columns });
  const lines = shown.trimEnd().split("\n");
  expect(lines).toHaveLength(3);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
  expect(shown).toContain("name-of-its-own");
  expect(shown).toContain("3/10000  stopped  loss");
});

test("where there are no runs, a line says so", async () => {
  expect((await runCommand(runs, { folders: [folder] })).shown).toMatch(
    /^there are no runs in .*; a stage makes one in its --output, stemma runs FOLDER looks there\n$/,
  );
});

test("one run is shown with the way of its metrics, its samples and what to do next", async () => {
  const path = writeRun("a", "sft", { steps: 3, learningRate: 0.01 }, falling(5));
  writeFileSync(join(path, "samples.jsonl"), '{"step":2,"prompt":"Why","text":" not?"}\n');
  const { shown, result } = await runCommand(runsShow, { run: path });
  expect(shown).toContain("sft, stopped, step 3/3");
  expect(shown).toContain("steps 3, learning-rate 0.01");
  expect(shown).toMatch(/loss 2\.000 +from 4\.000 +█▅▁\n/);
  expect(shown).toContain("sample of step 2\nWhy not?");
  expect(result).toMatchObject({ command: "sft", samples: [{ step: 2 }] });
  await expect(runCommand(runsShow, { run: folder })).rejects.toThrow(DataError);
});

test("a plot has a panel for each metric and does not replace a picture", async () => {
  const paths = [writeRun("a", "pretrain", {}, falling(5)), writeRun("b", "pretrain", {}, falling(6))];
  const output = join(folder, "runs.svg");
  const { result, shown } = await runCommand(runsPlot, { runs: paths, output });
  expect(result).toEqual({ output, metrics: ["loss"], runs: paths });
  expect(shown).toBe(`loss of 2 runs in ${output}\n`);
  expect(readFileSync(output, "utf8").match(/aria-label="line"/g)).toHaveLength(2);
  await expect(runCommand(runsPlot, { runs: paths, output })).rejects.toThrow("already exists");
  await expect(runCommand(runsPlot, { runs: paths, output, overwrite: true, metrics: ["los"] })).rejects.toThrow(
    "no run has los; did you mean loss?",
  );
  const empty = writeRun("c", "pretrain", {}, []);
  const other = join(folder, "other.svg");
  await expect(runCommand(runsPlot, { runs: [empty], output: other })).rejects.toThrow(DataError);
  await expect(runCommand(runsPlot, { runs: [empty], output: other, metrics: ["loss"] })).rejects.toThrow(
    SettingsError,
  );
  expect(existsSync(other)).toBe(false);
});

test.each([
  [999, "999"],
  [136_960, "137k"],
  [1_250_000, "1.3M"],
  [124_439_808, "124M"],
  [1_100_048_384, "1.1B"],
])("%d parameters are %s", (parameters, text) => {
  expect(sizeText(parameters)).toBe(text);
});

test.each([
  [[0, 7, 3.5, 1], 4, "▁█▅▂"],
  [[0, 2, 6, 8], 2, "▁█"],
  [[1, 1], 5, "▁▁"],
  [[1], 5, ""],
])("%j in %d characters is %s", (values, width, text) => {
  expect(sparkline(values, width)).toBe(text);
});
