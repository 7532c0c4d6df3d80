import { appendFileSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { RunningServer } from "../e2e/running-server.ts";
import { ServedFolder } from "../e2e/served-folder.ts";
import { OpenedApp, test } from "./opened-app.ts";

const folder = new ServedFolder();
/** A name and a text as someone who means harm would choose them. */
const hostile = `<img src=x onerror=alert(1)> \u202etxt.exe`;
let server: RunningServer;

interface WrittenRun {
  readonly command?: string;
  readonly settings?: object;
  readonly lines?: readonly object[];
  readonly samples?: readonly object[];
}

function writeRun(id: string, { command = "sft", settings = {}, lines = [], samples = [] }: WrittenRun): string {
  const path = folder.at(join("runs", id));
  mkdirSync(path, { recursive: true });
  const record = { command, version: "0.1.0", startedAt: "2026-01-02T03:04:05.000Z", settings, machine: { cores: 2 } };
  writeFileSync(join(path, "settings.json"), JSON.stringify(record));
  writeFileSync(join(path, "metrics.jsonl"), linesOf(lines));
  writeFileSync(join(path, "samples.jsonl"), linesOf(samples));
  return path;
}

const linesOf = (records: readonly object[]): string => records.map((record) => `${JSON.stringify(record)}\n`).join("");
const losses = (from: number, to: number, least = 0): object[] =>
  Array.from({ length: to - from + 1 }, (_, i) => ({
    step: from + i,
    loss: least + 1 / (from + i),
    tokens: 4,
    tokens_per_second: 2,
  }));
const token = (text: string, advantage: number): object => ({ token: text, kl: 0.25, value: -0.5, advantage });

beforeAll(async () => {
  await folder.write();
  writeRun("road/base", { command: "pretrain", settings: { steps: 100 }, lines: losses(1, 100) });
  writeRun("road/sft", { settings: { model: "road/base/final", learningRate: 0.01 }, lines: losses(1, 50) });
  writeRun("road/other", { settings: { model: "road/base/final", learningRate: 0.02 }, lines: losses(1, 50, 1) });
  const ppo = [1, 2, 3].map((step) => ({ step, "objective/scores": step, "objective/kl": step / 2 }));
  const samples = [
    { step: 3, prompt: "A verse.", text: "low", score: -1, tokens: [token("low", -2)] },
    {
      step: 3,
      prompt: "A verse.",
      text: `high ${hostile}`,
      score: 2,
      tokens: [token("high", 1.5), token(hostile, 0.5)],
    },
  ];
  writeRun("road/ppo", { command: "ppo", settings: { model: "road/sft/final" }, lines: ppo, samples });
  writeRun(hostile, {
    settings: { note: "</script><script>alert(1)</script>" },
    lines: [
      { step: 1, [hostile]: 1 },
      { step: 2, [hostile]: 2 },
    ],
    samples: [{ step: 1, prompt: hostile, text: `${"x".repeat(2 ** 20)} end` }],
  });
  server = await folder.start("--model", folder.at("writer"), "--runs", folder.at("runs"));
});
afterAll(() => folder.remove());

const at = (id: string, query = ""): string => `#/runs/${encodeURIComponent(id)}${query}`;

test("without runs the page says how one is begun, for everyone", async () => {
  const empty = await folder.start("--model", folder.at("writer"), "--runs", folder.at("none"));
  const app = await OpenedApp.open(empty, "#/runs");
  await app.page.getByText("no run", { exact: false }).first().waitFor();
  expect(await app.faults()).toEqual([]);
  await app.close();
});

test("the list is a tree of what came from what, for everyone; choosing and filtering stand in the address", async () => {
  const app = await OpenedApp.open(server, "#/runs");
  const rows = app.page.getByRole("listitem").filter({ has: app.page.getByRole("checkbox") });
  await rows.nth(4).waitFor();
  const names = (await rows.locator("a").allTextContents()).map((name) => name.trim());
  expect(names.slice(-4)).toEqual(["road/base", "road/other", "road/sft", "road/ppo"]);
  expect(names).toContain(hostile.replaceAll("\u202e", "\\u202e"));
  await app.page.getByRole("figure").first().waitFor();
  expect(await app.faults()).toEqual([]);

  await app.page.getByRole("checkbox", { name: "compare road/base" }).uncheck();
  await app.page.getByLabel("Filter").fill("road");
  await app.page.reload();
  await rows.nth(3).waitFor();
  expect(await rows.count()).toBe(4);
  expect(await app.page.getByRole("checkbox", { name: "compare road/base" }).isChecked()).toBe(false);
  expect(await app.page.getByRole("checkbox", { name: "compare road/sft" }).isChecked()).toBe(true);
  await app.close();
});

test("a run's charts have tables, zoom to exact steps from the keyboard, and a refresh keeps it", async () => {
  const app = await OpenedApp.open(server, at("road/base"));
  const chart = app.page.getByRole("figure").filter({ has: app.page.getByRole("heading", { name: /^loss/ }) });
  await chart.getByRole("img").waitFor();
  await chart.getByText("Values").click();
  await chart.getByRole("cell", { name: "0.01000" }).first().waitFor();
  expect(await app.faults()).toEqual([]);
  await app.page.getByLabel("From step").fill("10");
  await app.page.getByLabel("to step").fill("20");
  await app.page.getByLabel("to step").press("Enter");
  const steps = chart.getByRole("row").getByRole("rowheader");
  await steps.filter({ hasText: /^20$/ }).waitFor();
  expect(await steps.allTextContents()).toEqual(Array.from({ length: 11 }, (_, i) => String(10 + i)));
  await app.page.reload();
  await chart.getByText("Values").click();
  await steps.filter({ hasText: /^20$/ }).waitFor();
  expect(await steps.count()).toBe(11);
  await app.page.getByRole("button", { name: "Whole run" }).click();
  await steps.filter({ hasText: /^100$/ }).waitFor();
  await app.close();
});

test("a run that goes on is followed, anew when it was resumed, also when the server was away; nothing twice", async () => {
  const path = writeRun("live", { lines: losses(1, 3) });
  const own = await folder.start("--model", folder.at("writer"), "--runs", folder.at("runs"));
  const away = /Failed to load resource|ERR_/;
  const app = await OpenedApp.open(own, at("live"), { expected: away });
  const chart = app.page.getByRole("figure").filter({ has: app.page.getByRole("heading", { name: /^loss/ }) });
  await chart.getByText("Values").click();
  const steps = chart.getByRole("row").getByRole("rowheader");
  await steps.filter({ hasText: /^3$/ }).waitFor();
  appendFileSync(join(path, "metrics.jsonl"), `${linesOf(losses(4, 5))}{"step":6,"lo`);
  await steps.filter({ hasText: /^5$/ }).waitFor();

  await own.stop("SIGKILL");
  appendFileSync(join(path, "metrics.jsonl"), 'ss":0.5}\n');
  await app.page.getByText("does not answer").waitFor();
  const again = await RunningServer.start(
    ...["--model", folder.at("writer"), "--runs", folder.at("runs")],
    "--port",
    `${own.port}`,
  );
  await steps.filter({ hasText: /^6$/ }).waitFor();
  expect(await steps.allTextContents()).toEqual(["1", "2", "3", "4", "5", "6"]);

  writeFileSync(join(path, "new"), linesOf(losses(1, 2)));
  renameSync(join(path, "new"), join(path, "metrics.jsonl"));
  await steps.filter({ hasText: /^6$/ }).waitFor({ state: "detached" });
  expect(await steps.allTextContents()).toEqual(["1", "2"]);
  await app.close();
  await again.stop("SIGKILL");
});

test("settings of two runs side by side show what differs", async () => {
  const app = await OpenedApp.open(server, at("road/sft", "?view=settings"));
  await app.page.getByLabel("Beside the settings of").selectOption("road/other");
  await app.page.getByLabel("only what differs").check();
  await app.page.getByText("0.02").waitFor();
  expect(await app.page.getByRole("row").allInnerTexts()).toHaveLength(2);
  expect(await app.faults()).toEqual([]);
  await app.close();
});

test("PPO's answers are sorted by their score, and a token that is opened tells its numbers", async () => {
  const app = await OpenedApp.open(server, at("road/ppo", "?view=samples"));
  await app.page.getByRole("img", { name: /Reward against KL over 3 iterations/ }).waitFor();
  await app.page.getByLabel("Order").selectOption("highest score first");
  const first = app.page.getByRole("article").first();
  await first.getByText("2.000").waitFor();
  await app.page.getByRole("radio", { name: "KL" }).check();
  await first.getByRole("button", { name: /^high/ }).press("Enter");
  await first.getByRole("definition").filter({ hasText: "1.500" }).waitFor();
  expect(await app.faults()).toEqual([]);
  await app.close();
});

test("a run that means harm is text: no script runs, nothing is asked for, and the policy has nothing to refuse", async () => {
  const app = await OpenedApp.open(server, at(hostile));
  app.page.on("dialog", () => app.complaints.push("a script ran"));
  await app.page.getByRole("figure").first().waitFor();
  expect(await app.faults()).toEqual([]);
  await app.go(at(hostile, "?view=samples"));
  await app.page.getByRole("button", { name: "All 1,048,580 characters" }).click();
  await app.page.getByText("x end").waitFor();
  await app.go(at(hostile, "?view=settings"));
  await app.page.getByText("</script><script>alert(1)</script>").waitFor();
  expect(await app.faults()).toEqual([]);
  expect(await app.page.locator("img[src=x]").count()).toBe(0);
  await app.close();
});
