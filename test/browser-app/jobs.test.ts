import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Locator } from "playwright-core";
import { afterAll, beforeAll, expect } from "vitest";
import { JobFolder } from "../e2e/job-folder.ts";
import type { RunningServer } from "../e2e/running-server.ts";
import { until } from "../e2e/running-server.ts";
import { OpenedApp, test } from "./opened-app.ts";

const folder = new JobFolder();
const { runs, writer, talks } = folder;
const steps = (run: string): number[] => folder.steps(run);
let server: RunningServer;

beforeAll(async () => {
  await folder.write();
  server = await start();
});
afterAll(() => folder.removeWith(server));

function start(...args: string[]): Promise<RunningServer> {
  return folder.start("--model", writer, "--runs", runs, "--allow-jobs", ...args);
}

function card(app: OpenedApp, run: string): Locator {
  return app.page.getByRole("article", { name: run });
}

test("a stage is begun from its form: what is wrong stands beside its field, and the command line is the same", async () => {
  const app = await OpenedApp.open(server, "#/jobs", { expected: /status of 400/ });
  const { page } = app;
  await page.getByLabel("Stage").selectOption("sft");
  await page.getByLabel("model (required)").selectOption(writer);
  await page.getByLabel("data (required)").selectOption(talks);
  await page.getByLabel("output (required)").fill("first");
  await page.getByLabel("steps", { exact: true }).fill("-1");
  await page.getByText("Machine").click();
  await page.getByLabel("recompute").check();
  const line = page.getByText(/^stemma sft --model/);
  expect(await line.textContent()).toBe(
    `stemma sft --model ${writer} --data ${talks} --output ${runs}/first --steps=-1 --recompute yes`,
  );
  await page.getByRole("button", { name: "Start" }).click();
  await page.getByText("--steps must be at least 0, got -1").waitFor();
  expect(await page.getByLabel("steps", { exact: true }).getAttribute("aria-invalid")).toBe("true");
  expect(await app.faults()).toEqual([]);
  // What was typed is in the address: a refresh loses nothing.
  await page.getByLabel("steps", { exact: true }).fill("2");
  await page.waitForURL(/steps=2/);
  await page.reload();
  await page.getByLabel("recompute").waitFor();
  expect(await page.getByLabel("recompute").isChecked()).toBe(true);
  await page.getByRole("button", { name: "Start" }).click();
  await card(app, "first").getByText("finished").waitFor();
  expect(existsSync(join(runs, "first/final/config.json"))).toBe(true);
  // What it made can be chosen at once.
  await page.getByLabel("model (required)").selectOption(join(runs, "first/final"));
  await app.close();
});

test("a job is stopped and resumed; a second tab, a refresh and another server under the page show the same job once", async () => {
  const address = `#/jobs?stage=sft&model=${writer}&data=${talks}&output=long&steps=1000000&batchSize=1&log=long`;
  const app = await OpenedApp.open(server, address, {
    expected: /ERR_CONNECTION_REFUSED|status of 404|does not answer/,
  });
  await app.page.getByRole("button", { name: "Start" }).click();
  await card(app, "long").getByText("running").waitFor();
  await card(app, "long").getByRole("region", { name: "Log of long" }).getByText("loss").waitFor();
  const second = await OpenedApp.open(server, "#/jobs", { beside: app, expected: /ERR_CONNECTION_REFUSED/ });
  await card(second, "long").getByText("running").waitFor();
  await second.page.getByRole("button", { name: "Stop long" }).click();
  await card(app, "long").getByText("stopped", { exact: true }).waitFor();
  expect(await app.faults()).toEqual([]);
  const reached = steps("long").at(-1) ?? 0;
  await app.page.getByRole("button", { name: "Resume long" }).click();
  await card(second, "long").getByText("running").waitFor();
  const { port } = server;
  await server.stop("SIGKILL");
  await app.page.getByText("the server does not answer").waitFor();
  server = await start("--port", String(port));
  await app.page.getByText("the server does not answer").waitFor({ state: "detached" });
  await until(() => (steps("long").at(-1) ?? 0) > reached + 5);
  await app.page.reload();
  await card(app, "long").getByText("running").waitFor();
  expect(await card(app, "long").count()).toBe(1);
  await app.page.getByRole("button", { name: "Stop long" }).click();
  await card(app, "long").getByText("stopped", { exact: true }).waitFor();
  const all = steps("long");
  expect(all).toEqual([...new Set(all)].sort((a, b) => a - b));
  await second.close();
  await app.close();
});

test("a server that starts no jobs says how it would", async () => {
  const quiet = await folder.start("--model", writer, "--runs", runs);
  const app = await OpenedApp.open(quiet, "#/jobs", { expected: /status of 403/ });
  await app.page.getByText("stemma serve --model FOLDER --runs runs --allow-jobs").waitFor();
  expect(await app.faults()).toEqual([]);
  await app.close();
  await quiet.stop();
});
