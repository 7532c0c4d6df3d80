import { afterAll, beforeAll, expect } from "vitest";
import type { RunningServer } from "../e2e/running-server.ts";
import { until } from "../e2e/running-server.ts";
import { ServedFolder } from "../e2e/served-folder.ts";
import { OpenedApp, test } from "./opened-app.ts";

const folder = new ServedFolder();
let server: RunningServer;

beforeAll(async () => {
  await folder.write();
  server = await folder.start("--runs", folder.at("runs"), "--slots", "2");
});
afterAll(() => folder.remove());

const prompt = "In the beginning God";
const place = (values: Record<string, string>): string => new URLSearchParams(values).toString();
/** As the page writes a text: nothing of it is hidden. */
const shown = (text: string): string => text.replaceAll(" ", "·");

test("the model page shows what the server says of a text, by keyboard alone", async () => {
  const app = await OpenedApp.open(server, "#/model?model=writer");
  const { page } = app;
  await page.getByLabel("Text", { exact: true }).fill(prompt);
  await page.keyboard.press("Control+Enter");
  const row = page.getByRole("radiogroup", { name: "Tokens of the text, with how likely each was" });
  await row.waitFor();
  const { body: lens } = await server.post("/api/lens", { model: "writer", prompt, alternatives: 8 });
  const texts = lens.tokens.map(({ text }: { text: string }) => shown(text));
  expect(await row.locator("bdi").allInnerTexts()).toEqual(texts);
  await row.getByRole("radio").first().focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  expect(new URL(page.url()).hash).toContain("at=2");
  const guesses = page.getByRole("list", { name: "The likeliest tokens" }).getByRole("listitem");
  const [best] = lens.layers.at(-1).top[1];
  expect(await guesses.count()).toBe(8);
  expect(await guesses.first().textContent()).toContain(`${(100 * Math.exp(best.logprob)).toFixed(1)} %`);
  const table = page.getByRole("region", { name: "The likeliest next token behind each layer" });
  expect(await table.locator("tbody tr").count()).toBe(lens.layers.length);
  await app.close();
});

test("attention: a head is chosen by arrows, and its numbers are those of the server; a refresh loses nothing", async () => {
  const app = await OpenedApp.open(server, `#/model?${place({ model: "writer", text: prompt, at: "3" })}`);
  const { page } = app;
  const heads = page.getByRole("radiogroup", { name: "Heads, a row for each layer" });
  await until(async () => (await heads.getByRole("radio").count()) === 8);
  await heads.getByRole("radio", { checked: true }).focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  await page.reload();
  const { body } = await server.post("/api/attention", { model: "writer", prompt });
  const weights: number[] = body.maps[1].weights[1][3];
  const most = Math.max(...weights);
  const cells = page
    .getByRole("region", { name: /layer 2, head 2/ })
    .locator("tbody tr")
    .first()
    .locator("td");
  await cells.first().waitFor();
  expect(await cells.allInnerTexts()).toEqual([
    shown(body.tokens[weights.indexOf(most)].text),
    String(weights.indexOf(most) + 1),
    most >= 0.0995 ? `${(100 * most).toFixed(0)} %` : `${(100 * most).toFixed(1)} %`,
  ]);
  await page.getByText("Reading:").waitFor({ state: "detached" });
  const { body: summary } = await server.get("/api/parameter?model=writer&name=transformer.wte.weight");
  const entry = page.getByRole("row", { name: /transformer\.wte\.weight/ });
  expect(await entry.textContent()).toContain(summary.norm.toPrecision(3));
  expect(await app.faults()).toEqual([]);
  await app.close();
});

test("an encoder and a reward model show what looks at what; nothing to go on with", async () => {
  const app = await OpenedApp.open(server, `#/model?${place({ model: "reader", text: "the heaven" })}`);
  await app.page.getByRole("radiogroup", { name: "Heads, a row for each layer" }).waitFor();
  expect(await app.page.getByRole("heading", { name: "Logit lens" }).count()).toBe(0);
  await app.page.getByLabel("Model", { exact: true }).selectOption("judge");
  await app.page.getByRole("row", { name: /score\.weight/ }).waitFor();
  await app.close();
});

test("the tokenizer page shows hostile text as text, its tokens and merges, two models side by side", async () => {
  const hostile = "<img src=x onerror=alert(1)> the\u202e heaven<|endoftext|>";
  const app = await OpenedApp.open(
    server,
    `#/tokenizer?${place({ model: "writer", beside: "reader", text: hostile })}`,
  );
  const { page } = app;
  const row = page.getByRole("radiogroup", { name: "Tokens of writer, with their ids" });
  await row.waitFor();
  const { body } = await server.post("/api/words", { model: "writer", text: hostile });
  expect(await row.locator("small").allInnerTexts()).toEqual(body.tokens.map(({ id }: { id: number }) => String(id)));
  expect(await page.locator("main img").count()).toBe(0);
  await page.getByRole("radiogroup", { name: "Tokens of reader, with their ids" }).waitFor();
  const heaven = body.tokens.findIndex(({ word }: { word: number }) => body.words[word].text === "Ġheaven");
  await row.getByRole("radio").nth(heaven).click();
  const section = page.getByRole("region", { name: "Cut by writer" });
  const steps = section.getByRole("region", { name: "Merges in their order" }).locator("tbody tr");
  const { merging } = body.words[body.tokens[heaven].word];
  expect(await steps.count()).toBe(merging.steps.length + 1);
  expect(await steps.last().locator("td").last().textContent()).toBe(merging.steps.at(-1).rank.toLocaleString("en"));
  await row.getByRole("radio").last().click();
  await section.getByText("is found as a whole").waitFor();
  expect(await app.faults()).toEqual([]);
  // A word of many pieces: its table is wider than a telephone, the page is not.
  await app.go(`#/tokenizer?${place({ model: "writer", text: "heaven".repeat(9) })}`);
  await steps.first().waitFor();
  expect(await app.faults()).toEqual([]);
  await app.close();
});

test("the reward page ranks answers by their scores, and shows the score of each prefix", async () => {
  const answers = ["God created", "the heaven and the earth", "<b>the</b>"];
  const address = place({ model: "judge", prompt: "In the beginning", answers: JSON.stringify(answers) });
  const app = await OpenedApp.open(server, `#/reward?${address}`);
  const { page } = app;
  await page.getByRole("button", { name: "Score", exact: true }).press("Enter");
  const cards = page.getByRole("article");
  await cards.first().waitFor();
  const messages = [{ role: "user", content: "In the beginning" }];
  const { body } = await server.post("/api/rewards", { model: "judge", messages, answers });
  const scores: number[] = body.answers.map(({ score }: { score: number }) => score);
  const best = scores.indexOf(Math.max(...scores));
  const signed = (value: number): string => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
  expect(await cards.first().getByRole("heading").textContent()).toBe(`1. Answer ${best + 1}`);
  expect(await cards.first().locator("strong").textContent()).toBe(signed(scores[best] ?? 0));
  expect(await cards.first().locator("small").allInnerTexts()).toEqual(
    body.answers[best].tokens.map(({ score }: { score: number }) => signed(score)),
  );
  expect(await app.faults()).toEqual([]);
  await app.close();
});

test("the server page shows a request while it is answered, and cancels it", async () => {
  const app = await OpenedApp.open(server, "#/server");
  const { page } = app;
  await page.getByText("None. Ask a model something").waitFor();
  expect(await app.faults()).toEqual([]);
  const ask = { model: "writer", prompt: "the", max_tokens: 500, ignore_eos: true, n: 16 };
  const asked = Array.from({ length: 4 }, () => server.post("/v1/completions", ask));
  const cancel = page.getByRole("button", { name: /^Cancel request/ });
  await cancel.last().waitFor();
  expect(await page.getByRole("list", { name: "Slots of writer" }).getByRole("listitem").count()).toBe(2);
  for (let left = await cancel.count(); left > 0; left--)
    await cancel
      .last()
      .press("Enter")
      .catch(() => {});
  const statuses = (await Promise.all(asked)).map(({ status }) => status);
  expect(statuses).toContain(409);
  expect(statuses.every((status) => status === 409 || status === 200)).toBe(true);
  await page.getByText("None. Ask a model something").waitFor();
  await app.close();
});

test("a text that changes more often than a browser lets an address change is whole, and in the address soon after", async () => {
  const app = await OpenedApp.open(server, "#/tokenizer?model=writer", { expected: /Throttling/ });
  const { page } = app;
  const whole = "a".repeat(400);
  await page.getByLabel("Text", { exact: true }).evaluate((field: { value: string; dispatchEvent(e: Event): void }) => {
    for (let i = 1; i <= 400; i++) {
      field.value = "a".repeat(i);
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
  });
  await page
    .getByText("Characters", { exact: true })
    .locator("xpath=following-sibling::dd")
    .getByText("400", { exact: true })
    .waitFor();
  await until(() => new URL(page.url()).hash.includes(whole));
  await app.close();
});
