import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect } from "vitest";
import { openReference } from "../../src/backend/reference/index.ts";
import { writeModelFolder } from "../../src/checkpoint/model-folder.ts";
import { Random } from "../../src/core/random.ts";
import { assistantContents } from "../../src/generate/assistant.ts";
import { gpt2 } from "../../src/models/gpt-families.ts";
import { Initializer } from "../../src/nn/parameters.ts";
import { trainByteLevelBpe } from "../../src/text/bpe-trainer.ts";
import { ChatTemplate, chatMl, chatMlTokens } from "../../src/text/chat-template.ts";
import { ChatEncoder } from "../../src/text/encode-chat.ts";
import type { RunningServer } from "../e2e/running-server.ts";
import { ServedFolder } from "../e2e/served-folder.ts";
import { OpenedApp, test } from "./opened-app.ts";

const folder = new ServedFolder();
let server: RunningServer;

beforeAll(async () => {
  await writeTalker("talker", 5, 256, chatMl);
  await writeTalker("other", 6, 8192, chatMl);
  await writeTalker("bare", 7, 256, null);
  server = await folder.start(
    ...["talker", "other", "bare"].flatMap((name) => ["--model", folder.at(name)]),
    ...["--feedback", folder.at("said"), "--runs", folder.path],
  );
});
afterAll(() => folder.remove());

/** A model that knows a chat template, or none, and nothing else. */
async function writeTalker(name: string, seed: number, context: number, template: string | null): Promise<void> {
  const tokenizer = trainByteLevelBpe(["the heaven and the earth, user assistant ".repeat(30)], {
    vocabularySize: 290,
  });
  const encoder = new ChatEncoder(
    tokenizer.withSpecialTokens([...chatMlTokens]),
    template === null ? null : new ChatTemplate(template),
  );
  const sizes = { context, width: 16, layers: 1, heads: 2, dropout: 0 };
  const shape = { ...sizes, vocabularySize: encoder.tokenizer.vocabularySize };
  const model = gpt2.create(gpt2.shaped(shape), new Initializer(openReference(), new Random(seed)));
  await writeModelFolder(folder.at(name), assistantContents({ model, family: gpt2, encoder }));
}

const answers = (page: Page) => page.locator("article.assistant");
/** Waits until so many answers are there, and nobody writes. */
async function written(page: Page, count: number): Promise<void> {
  await answers(page)
    .nth(count - 1)
    .locator("footer")
    .waitFor();
  await page.getByRole("button", { name: /^Stop/ }).waitFor({ state: "hidden" });
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
}

test("answers are branches, messages are edited, and a refresh and a second tab lose nothing", async () => {
  const app = await OpenedApp.open(server, "#/chat?model=talker");
  const { page } = app;
  await page.getByLabel("Longest answer").fill("12");
  await page.getByLabel("Seed").fill("7");
  await say(page, "the heaven");
  await written(page, 1);
  const first = await answers(page).locator(".tokens").textContent();
  await page.getByLabel("Seed").fill("8");
  await page.getByRole("button", { name: "Again" }).click();
  await page.getByText("2/2").waitFor();
  await written(page, 1);
  const second = await answers(page).locator(".tokens").textContent();
  expect(second).not.toBe(first);
  await page.getByRole("button", { name: "Branch before" }).click();
  expect(await answers(page).locator(".tokens").textContent()).toBe(first);
  expect(await page.getByText(/seed 7 · \d+ tokens/).count()).toBe(1);

  await page.reload();
  await written(page, 1);
  expect(await answers(page).locator(".tokens").textContent()).toBe(first);

  const other = await OpenedApp.open(server, new URL(page.url()).hash, { beside: app });
  await written(other.page, 1);
  await say(other.page, "and the earth");
  await written(other.page, 2);
  await page.getByRole("button", { name: "Branch after" }).click();
  await say(page, "user");
  await written(page, 2);
  await page.waitForTimeout(1000); // both have written down what they know
  await page.reload();
  await written(page, 2);
  const kept = await page.evaluate<string>("Object.values(localStorage).join()");
  for (const text of ["and the earth", "user"]) expect(kept).toContain(`"content":"${text}"`);
  await other.close();

  const said = page.locator("article.user").last();
  await said.getByRole("button", { name: "Edit" }).click();
  await page.getByLabel("The message, otherwise").fill("assistant");
  await page.getByRole("button", { name: "Send as a branch" }).click();
  await said.getByText("2/2").waitFor();
  await written(page, 2);
  expect(await said.locator(".text").textContent()).toBe("assistant");
  await app.close();
});

test("a token's other ways are reached by keyboard, and the answer goes on from the one that is taken", async () => {
  const app = await OpenedApp.open(server, "#/chat?model=talker");
  const { page } = app;
  await page.getByLabel("Longest answer").fill("10");
  await page.getByLabel("Seed").fill("4");
  await say(page, "the earth");
  await written(page, 1);
  const tokens = page.locator(".tokens");
  const before = await tokens.locator("span").allInnerTexts();
  await tokens.focus();
  await page.keyboard.press("Home");
  expect(await page.getByText(/log-probability -\d/).textContent()).toContain("%");
  await page.keyboard.press("Enter");
  const others = page.getByRole("group", { name: "What could have stood here" }).getByRole("button");
  expect(await app.faults()).toEqual([]);
  const taken = others.and(page.locator('[aria-pressed="false"]:enabled')).filter({ hasNotText: "ends here" }).first();
  await taken.press("Enter");
  await page.getByText("2/2").waitFor();
  await written(page, 1);
  const after = await tokens.locator("span").allInnerTexts();
  expect(after[0]).not.toBe(before[0]);
  expect(after.length).toBeGreaterThan(1);
  await app.close();
});

test("two models side by side, stopped by Escape; what is good is kept, and answers go to be ranked", async () => {
  const app = await OpenedApp.open(server, "#/chat?model=talker&beside=other");
  const { page } = app;
  await page.getByLabel("Temperature").fill("0"); // the likeliest never ends
  await say(page, "the heaven and the earth");
  await answers(page).nth(1).locator(".tokens span").nth(20).waitFor();
  await page.keyboard.press("Escape");
  await written(page, 2);
  await page.getByText("stopped").first().waitFor();
  expect(await page.getByRole("region", { name: "Conversation with other" }).count()).toBe(1);
  expect(await app.faults()).toEqual([]);
  await page.getByRole("button", { name: "Rank 2 answers" }).first().click();
  await page.getByText("Sent; they wait on the Rank page.").first().waitFor({ state: "attached" });
  await page.getByRole("button", { name: "Keep as an example" }).first().click();
  await page
    .getByText(/Kept in /)
    .first()
    .waitFor({ state: "attached" });
  const row = (name: string) => JSON.parse(readFileSync(join(folder.at("said"), name), "utf8"));
  expect(row("from-chat.jsonl")).toMatchObject({ prompt: "the heaven and the earth", models: ["talker", "other"] });
  const { messages } = row("conversations.jsonl");
  expect(messages.map(({ role }: { role: string }) => role)).toEqual(["user", "assistant"]);
  await app.close();
});

test("what does not fit is left out, and grey; a model without a template goes on with a text", async () => {
  const app = await OpenedApp.open(server, "#/chat?model=talker");
  const { page } = app;
  await page.getByLabel("Longest answer").fill("8");
  for (let turn = 1; turn <= 4; turn++) {
    await say(page, "the heaven and the earth, ".repeat(8));
    await written(page, turn);
  }
  await page.getByText("left out: does not fit").first().waitFor();
  expect(await page.getByText(/\d+ of 256 tokens; the first \d+ turns are left out/).count()).toBe(1);
  expect(await page.getByRole("alert").count()).toBe(0);

  await page.getByRole("link", { name: "New conversation" }).click();
  await page.getByLabel("Model", { exact: true }).selectOption("bare");
  await page.getByText("has no chat template").waitFor();
  await page.getByLabel("Text to go on with").fill("And the earth was");
  await page.keyboard.press("Enter");
  await written(page, 1);
  expect(await answers(page).locator(".tokens").textContent()).not.toBe("");
  expect(await app.faults()).toEqual([]);
  await app.close();
});

test("hostile answers are text: no script, no picture, no request; a line of a megabyte is shown", async () => {
  const app = await OpenedApp.open(server, "#/chat");
  const { page } = app;
  const texts = [
    '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script><style>body{display:none}</style>',
    "![](http://evil.example/pixel.png) [click](javascript:window.hurt=1) <iframe src=http://evil.example></iframe>",
    "\u202edlrow olleh <svg onload=window.hurt=1>",
    "x".repeat(2 ** 20),
  ];
  const turns = texts.map((content, i) => ({
    id: `t${i}`,
    parent: i === 0 ? null : `t${i - 1}`,
    role: i % 2 === 0 ? "user" : "assistant",
    content,
    version: 1,
  }));
  const settings = { system: "", temperature: 1, topP: 1, topK: 0, minP: 0, maxTokens: 4, seed: 1, hasTokens: false };
  const conversation = {
    ...{ id: "hostile", changedAt: 1, settings },
    turns: Object.fromEntries(turns.map((turn) => [turn.id, turn])),
    panes: [{ model: "other", leaf: "t3" }],
  };
  const kept = JSON.stringify(JSON.stringify(conversation));
  await page.evaluate(`localStorage.setItem("stemma.chat.hostile", ${kept})`);
  await app.go("#/chat/hostile");
  await answers(page).nth(1).waitFor();
  const shown = await page.locator("main").textContent();
  expect(shown).toContain("<script>window.hurt=1</script>");
  expect(shown).toContain("x".repeat(1000));
  const risky = page.locator("article img, article script, article iframe, article svg, article style, article a");
  expect(await risky.count()).toBe(0);
  expect(await page.evaluate("window.hurt")).toBeUndefined();
  await app.close();
});
