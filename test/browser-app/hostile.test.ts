import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import type { RunningServer } from "../e2e/running-server.ts";
import { ServedFolder } from "../e2e/served-folder.ts";
import { OpenedApp, test } from "./opened-app.ts";

const folder = new ServedFolder();
const runs = folder.at("runs");
let server: RunningServer;

/** What would run, load or open something if it were anything but text. */
const markup =
  '<img src="https://elsewhere.example/x.png" onerror="alert(1)"><script>alert(2)</script><a href="javascript:alert(3)">link</a>' +
  "<svg onload=alert(4)></svg>{{alert(5)}}#{alert(6)}";
/** Turns what follows around, where nobody stops it. */
const turned = "\u202egnp.exe\u2066";
const longLine = `${"<x-made>long</x-made>".repeat(2 ** 20 / 21)}`;
/** As far as a name of a folder may go. */
const names = ["<img src=x onerror=alert(7)>", `turned ${turned}`, "'\"`;&", "n".repeat(200)];

beforeAll(async () => {
  await folder.write();
  for (const name of names) writeRun(join(runs, name));
  server = await folder.start("--model", folder.at("writer"), "--runs", runs, "--allow-jobs");
});
afterAll(() => folder.remove());

function writeRun(path: string): void {
  mkdirSync(path, { recursive: true });
  const settings = {
    model: markup,
    output: turned,
    data: [markup, turned],
    steps: 10,
    "<x-made>key</x-made>": markup,
    long: longLine,
  };
  const record = {
    command: `sft${turned}`,
    version: markup,
    startedAt: markup,
    settings,
    machine: { name: markup },
    data: markup,
  };
  writeFileSync(join(path, "settings.json"), JSON.stringify(record));
  const metrics = [1, 2, 3].map((step) => ({
    step,
    loss: 3 / step,
    "<x-made>odd</x-made>": step,
    [turned]: 1,
    ["m".repeat(5000)]: 2,
  }));
  writeFileSync(join(path, "metrics.jsonl"), metrics.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const samples = [
    { step: 1, prompt: markup, text: turned },
    { step: 2, prompt: turned, text: markup },
    { step: 3, prompt: "long", text: longLine },
  ];
  writeFileSync(join(path, "samples.jsonl"), samples.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const job = {
    command: markup,
    commandLine: `stemma ${markup}${turned}`,
    settings: { "<x-made>": [markup] },
    startedAt: markup,
  };
  writeFileSync(join(path, "job.json"), JSON.stringify({ ...job, process: null, ended: null }));
  writeFileSync(join(path, "job.log"), `${longLine}\n\u001b[31m${markup} ${turned}\u0000\n`);
}

/** Marks that turn what follows them around, as they stand in the page: none may, but a sample's own lines. */
async function turning(app: OpenedApp): Promise<string[]> {
  return ((await app.page.locator("main").textContent()) ?? "").match(/[\u202a-\u202e\u2066-\u2069]/g) ?? [];
}

/** Elements that only what is above can have made. */
async function made(app: OpenedApp): Promise<number> {
  return app.page.locator("img, main script, main svg[onload], a[href^='javascript:'], main x-made").count();
}

test("names, settings, metrics and samples of runs are shown as text, whatever they spell", async () => {
  const app = await OpenedApp.open(server, "#/runs");
  for (const name of names) await app.page.getByText(name.slice(0, 5)).first().waitFor();
  expect(await made(app)).toBe(0);
  expect(await turning(app)).toEqual([]);
  expect(await app.faults()).toEqual([]);
  for (const name of names) {
    await app.go(`#/runs/${encodeURIComponent(name)}`);
    expect(await app.page.locator("main nav a").count()).toBeGreaterThan(1);
    for (const tab of await app.page.locator("main nav a").all()) {
      await tab.click();
      await app.page.waitForTimeout(300); // what a tab shows is there
      expect(await made(app)).toBe(0);
      if ((await tab.textContent())?.includes("Samples") !== true) expect(await turning(app)).toEqual([]);
    }
  }
  expect(await app.faults()).toEqual([]);
  await app.close();
});

test("what jobs say, and how they were begun, is shown as text", async () => {
  const [name = ""] = names;
  const app = await OpenedApp.open(server, `#/jobs?log=${encodeURIComponent(name)}`);
  const log = app.page.getByRole("region", { name: `Log of ${name}` });
  await log.getByText("\\x1b[31m<img src", { exact: false }).waitFor();
  expect(await log.textContent()).toContain("\\u202egnp.exe\\u2066\\x00");
  expect(await app.page.getByRole("article").count()).toBe(names.length);
  expect(await made(app)).toBe(0);
  expect(await app.faults()).toEqual([]);
  await app.close();
});

test("what gets through would be noticed here", async () => {
  const app = await OpenedApp.open(server, "#/runs");
  const image = `document.body.append(Object.assign(new Image(), { src: "https://elsewhere.example/x.png" }))`;
  await app.page.evaluate(`${image}; document.querySelector("main").innerHTML = "<img src=x onerror=alert(1)>"`);
  await app.page.waitForTimeout(200);
  expect(await made(app)).toBe(2);
  expect(await app.faults()).toContainEqual(expect.stringContaining("image-alt"));
  await expect(app.close()).rejects.toThrow(/elsewhere.*Content Security Policy/s);
});

test("an address that spells anything shows a page", async () => {
  const app = await OpenedApp.open(server, "#/jobs");
  for (const hash of [
    `#/jobs?stage=${encodeURIComponent(markup)}`,
    `#/${encodeURIComponent(markup)}`,
    "#/runs/%",
    "#/jobs?stage=sft&steps=<x-made>&data=,,,&__proto__=1&constructor=2",
  ]) {
    await app.go(hash);
    expect(await made(app), hash).toBe(0);
  }
  await app.close();
});

test("on a telephone Escape closes the list of pages and gives the focus back; a page that is chosen closes it, too", async () => {
  const app = await OpenedApp.open(server, "#/jobs");
  const { page } = app;
  await page.setViewportSize({ width: 360, height: 740 });
  const menu = page.getByRole("button", { name: "Pages" });
  const link = page.getByRole("link", { name: "Server", exact: true });
  await menu.press("Enter");
  await link.focus();
  await page.keyboard.press("Escape");
  await link.waitFor({ state: "hidden" });
  expect(await menu.evaluate((element) => element === element.ownerDocument.activeElement)).toBe(true);
  await menu.press("Enter");
  await link.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Server" }).waitFor();
  expect(await link.isVisible()).toBe(false);
  await app.close();
});
