import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect } from "vitest";
import type { RunningServer } from "../e2e/running-server.ts";
import { ServedFolder } from "../e2e/served-folder.ts";
import { OpenedApp, test } from "./opened-app.ts";

const folder = new ServedFolder();
const hostile = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script> \u202egnp.exe';
const prompts = 8;
let server: RunningServer;

beforeAll(async () => {
  await folder.write();
  const rows = Array.from({ length: prompts }, (_, i) => ({
    prompt: `question ${i} ${i === 1 ? hostile : ""}`,
    completions: [`one ${i}`, i === 1 ? hostile : `two ${i}`, i === 2 ? "x".repeat(2 ** 20) : `three ${i}`],
    models: ["old", "new", "newest"],
  }));
  writeFileSync(folder.at("samples.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  server = await start();
});
afterAll(() => folder.remove());

const start = (...args: string[]): Promise<RunningServer> =>
  folder.start(
    ...["--model", folder.at("writer"), "--model", `judge=${folder.at("judge")}`, "--runs", folder.path],
    ...["--rank", folder.at("samples.jsonl"), "--feedback", folder.at("said"), ...args],
  );

const rows = (): { prompt: string; completions: string[]; ranks: number[]; shown: number[]; id: string }[] =>
  readFileSync(join(folder.at("said"), "rankings.jsonl"), "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));

/** Waits until a prompt is shown. */
const shows = (page: Page, prompt: number): Promise<void> =>
  page.getByText(`question ${prompt}`).waitFor({ state: "visible" });

/** Types keys one after the other: digits, =, s, u, and < for Backspace, ! for Enter. */
async function type(page: Page, keys: string): Promise<void> {
  for (const key of keys) await page.keyboard.press({ "<": "Backspace", "!": "Enter" }[key] ?? key);
}

test("the keys of the command line rank, blind; what is hostile is text, and who wrote it comes afterwards", async () => {
  const app = await OpenedApp.open(server, "#/rank?task=samples");
  const { page } = app;
  await shows(page, 0);
  expect(await page.locator("main").textContent()).not.toMatch(/\bold\b|newest/);
  const texts = await page.locator("article .text").allInnerTexts();
  await type(page, "21<3=1!");
  await shows(page, 1);
  const [first] = rows();
  const rankOf = (text: string | undefined): number | undefined => first?.ranks[first.completions.indexOf(text ?? "")];
  expect([texts[1], texts[2], texts[0]].map(rankOf)).toEqual([1, 2, 2]);
  expect(first?.shown.map((answer) => first.completions[answer])).toEqual(texts);
  expect(await page.getByRole("region", { name: "Last ranking" }).textContent()).toMatch(/old|new/);

  expect(await page.locator("article img, article script").count()).toBe(0);
  expect(await page.evaluate("window.hurt")).toBeUndefined();
  expect(await page.locator("article").allInnerTexts()).toEqual(
    expect.arrayContaining([expect.stringContaining("<img src=x")]),
  );

  await type(page, "s");
  await shows(page, 2); // an answer of a million letters
  expect(await app.faults()).toEqual([]);
  await type(page, "u");
  await shows(page, 1);
  await type(page, "u");
  await shows(page, 0);
  expect(rows()).toEqual([]);
  expect(await page.locator("output").textContent()).toBe("2 › 3=1"); // what was said is there to be mended
  await type(page, "!");
  await shows(page, 1);
  await app.close();
});

test("cards are moved by arrow keys, which is said; a refresh keeps the order; another tab gets another prompt", async () => {
  const app = await OpenedApp.open(server, "#/rank?task=samples&from=3");
  const { page } = app;
  await shows(page, 3);
  await page.getByRole("button", { name: /^Answer 3,/ }).focus();
  for (const [key, said] of [
    ["ArrowUp", "Answer 3: rank 1 of 3."],
    ["ArrowDown", "Answer 3: no place."],
    ["ArrowUp", "Answer 3: rank 1 of 3."],
  ] as const) {
    await page.keyboard.press(key);
    await page.getByRole("status").getByText(said).waitFor({ state: "attached" });
  }
  await page.getByRole("button", { name: /^Answer 2,/ }).focus();
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowUp");
  expect(await page.locator("output").textContent()).toBe("2 › 3");
  await page.reload();
  await shows(page, 3);
  expect(await page.locator("output").textContent()).toBe("2 › 3");
  const other = await OpenedApp.open(server, "#/rank?task=samples&from=3", { beside: app });
  await shows(other.page, 4);
  await other.close();
  const box = async (number: number): Promise<{ x: number; y: number; height: number }> => {
    const found = await page.getByRole("button", { name: new RegExp(`^Answer ${number},`) }).boundingBox();
    return found ?? { x: 0, y: 0, height: 0 };
  };
  const [from, to] = [await box(1), await box(2)];
  await page.mouse.move(from.x + 10, from.y + 10);
  await page.mouse.down();
  for (let y = from.y; y > to.y - 4; y -= 6) await page.mouse.move(from.x + 10, y);
  await page.mouse.up();
  expect(await page.locator("output").textContent()).toBe("1 › 2 › 3");
  await page.getByRole("button", { name: /^Save/ }).click();
  await page.getByText("question 3").waitFor({ state: "hidden" });
  expect(rows().at(-1)?.prompt.trim()).toBe("question 3");
  await app.close();
});

test("a server that is killed and comes back: nothing is lost or there twice, and the end says how to go on", async () => {
  const app = await OpenedApp.open(server, "#/rank?task=samples", { expected: /ERR_CONNECTION_REFUSED/ });
  const { page } = app;
  await page.locator("article").first().waitFor();
  const before = rows().length;
  await server.stop("SIGKILL");
  await type(page, "123!");
  await page.getByRole("alert").waitFor();
  server = await start("--port", String(server.port));
  await page.getByRole("alert").waitFor({ state: "hidden" });
  expect(rows().length).toBe(before + 1);
  const again = page.getByRole("button", { name: "Go through them" }); // others had looked at some
  for (let ranked = before + 1; ranked < prompts; ranked++) {
    await page.getByText(`${ranked} of ${prompts} ranked`).waitFor();
    await page.locator("article").or(again).first().waitFor();
    if (await again.isVisible()) await again.click();
    await page.locator("article").first().waitFor();
    await type(page, "321!");
  }
  await page.getByRole("heading", { name: "All is ranked" }).waitFor();
  expect(new Set(rows().map(({ prompt }) => prompt)).size).toBe(prompts);
  expect(new Set(rows().map(({ id }) => id)).size).toBe(rows().length);
  expect(await page.locator("main").textContent()).toContain(
    `stemma reward --model ${folder.at("writer")} --data ${join(folder.at("said"), "rankings.jsonl")}`,
  );
  expect(await page.getByRole("link", { name: "Start it as a job" }).getAttribute("href")).toContain("stage=reward");
  await page.getByLabel("Compare with").selectOption("judge");
  await page.getByText("With the reward model").waitFor();
  expect(await app.faults()).toEqual([]);
  await app.close();
});
