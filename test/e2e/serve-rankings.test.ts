import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readConversations } from "../../src/data/conversations.ts";
import { readRankings } from "../../src/data/rankings.ts";
import type { RunningServer } from "./running-server.ts";
import { ServedFolder } from "./served-folder.ts";
import { stemma } from "./stemma.ts";

const folder = new ServedFolder();
const prompts = 40;
const answersOf = (prompt: number): string[] => ["heaven", "earth", "light"].map((word) => `${word} ${prompt}`);

beforeAll(async () => {
  await folder.write();
  const rows = Array.from({ length: prompts }, (_, i) => ({
    prompt: `question ${i}`,
    completions: answersOf(i),
    models: ["old", "new", "newest"],
  }));
  writeFileSync(folder.at("samples.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
}, 120_000);
afterAll(() => folder.remove());

const start = (feedback: string, ...args: string[]): Promise<RunningServer> =>
  folder.start(
    ...["--model", folder.at("writer"), "--model", `judge=${folder.at("judge")}`],
    ...["--rank", folder.at("samples.jsonl"), "--feedback", folder.at(feedback), ...args],
  );

const next = async (server: RunningServer, query = ""): ReturnType<RunningServer["get"]> =>
  server.get(`/api/rankings/next?task=samples&page=one${query}`);

const linesOf = (feedback: string, file = "rankings.jsonl"): Record<string, unknown>[] =>
  readFileSync(join(folder.at(feedback), file), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test("answers are ranked blind, saved once, taken back, and what is said is what is in the file", async () => {
  const server = await start("one");
  expect((await server.get("/api/feedback")).body.files.rankings).toBe(join(folder.at("one"), "rankings.jsonl"));
  expect((await server.get("/api/rankings")).body.tasks).toEqual([{ name: "samples", prompts, ranked: 0 }]);
  const { question } = (await next(server)).body;
  expect(question.prompt).toEqual([{ role: "user", content: "question 0" }]);
  expect(question.answers.toSorted()).toEqual(answersOf(0).toSorted());
  expect(JSON.stringify(question)).not.toMatch(/old|new/);
  expect((await next(server)).body.question).toEqual(question);

  const save = { task: "samples", ticket: question.ticket, id: "first-one", rater: "Ada", seconds: 2.71 };
  const wrong = await server.post("/api/rankings", { ...save, order: "1=2=3" });
  expect([wrong.status, wrong.body.error.param]).toEqual([400, "order"]);
  expect(wrong.body.error.message).toMatch(/all answers are equal/);
  const saved = await server.post("/api/rankings", { ...save, order: "3 1=2" });
  expect(saved.body).toMatchObject({ isSaved: true, ranks: [2, 2, 1], ranked: 1 });
  const again = await server.post("/api/rankings", { ...save, order: "3 1=2" });
  expect(again.body).toEqual(saved.body);
  const other = await server.post("/api/rankings", { ...save, order: "1 2 3", id: "other-window" });
  expect(other.body.isSaved).toBe(false);

  const best = question.answers[2];
  const [row, ...more] = linesOf("one");
  expect(more).toEqual([]);
  expect(row).toMatchObject({ ranks: answersOf(0).map((text) => (text === best ? 1 : 2)), rater: "Ada", seconds: 2.7 });
  const shown = row?.shown as number[];
  expect(shown.map((answer) => answersOf(0)[answer])).toEqual(question.answers);
  expect(saved.body.models).toEqual(shown.map((answer) => ["old", "new", "newest"][answer]));
  expect((await next(server, "&rater=Ada")).body).toMatchObject({ question: { index: 1 }, ranked: 1 });

  expect((await server.post("/api/rankings/undo", { id: "first-one" })).body).toEqual({ isUndone: true });
  expect((await server.post("/api/rankings/undo", { id: "first-one" })).body).toEqual({ isUndone: false });
  expect((await next(server)).body).toMatchObject({ question, ranked: 0 });
  expect(readFileSync(join(folder.at("one"), "rankings.jsonl"), "utf8")).toBe("");
  await server.stop();
});

test("two people are not shown the same, a tenth of what one ranked comes to the other, and they are compared", async () => {
  const server = await start("two");
  const rank = async (question: { ticket: string }, order: string, rater: string): Promise<void> => {
    const body = { task: "samples", ticket: question.ticket, order, rater, id: `${rater}-${question.ticket}` };
    expect((await server.post("/api/rankings", { ...body, id: body.id.replaceAll(".", "-") })).body.isSaved).toBe(true);
  };
  const ask = async (page: string, rater: string): Promise<{ ticket: string; index: number; isSecond: boolean }> =>
    (await server.get(`/api/rankings/next?task=samples&page=${page}&rater=${rater}`)).body.question;
  const [a, b] = [await ask("a", "Ada"), await ask("b", "Bob")];
  expect([a.index, b.index]).toEqual([0, 1]);
  await rank(a, "1 2 3", "Ada");
  await rank(b, "2 1 3", "Bob");
  expect(await ask("a", "Ada")).toMatchObject({ index: 2, isSecond: false }); // her own only after a day
  const second = await ask("b", "Bob");
  expect(second).toMatchObject({ index: 0, isSecond: true });
  await rank(second, "1=2 3", "Bob");
  expect((await ask("b", "Bob")).index).toBe(3); // 2 is before Ada
  const rows = linesOf("two");
  const { body } = await server.get("/api/rankings/agreement?model=judge");
  const [first, , last] = rows.map(({ ranks }) => ranks as number[]);
  let agreed = 0;
  for (const [i, j] of [
    [0, 1],
    [0, 2],
    [1, 2],
  ] as const) {
    const sign = (ranks: number[] | undefined): number => Math.sign((ranks?.[j] ?? 0) - (ranks?.[i] ?? 0));
    agreed += 1 - Math.abs(sign(first) - sign(last)) / 2;
  }
  expect(body.repeated).toMatchObject({ rankings: 1, pairs: 3, pairwise: agreed / 3 });
  expect(body.raters).toEqual([
    { name: "Bob", rankings: 2 },
    { name: "Ada", rankings: 1 },
  ]);
  expect(body.firstShown.expected).toBeCloseTo(1 / 3, 12);
  expect(body.firstShown.share).toBeCloseTo((1 + 0 + 0.5) / 3, 12);
  const { scores } = (await server.post("/v1/score/evaluation", { model: "judge", messages: ["the"] })).body;
  expect(scores).toHaveLength(1);
  expect(body.rewardModel).toMatchObject({ rankings: 3, pairs: 9 });
  expect((await server.get("/api/rankings/agreement?model=writer")).status).toBe(400);
  await server.stop();
});

test("one writer: the command says who has the file, the server too; each goes on when the other is done", async () => {
  const server = await start("three");
  await next(server);
  const file = join(folder.at("three"), "rankings.jsonl");
  const args = ["rank", "--samples", folder.at("samples.jsonl"), "--output", file];
  const refused = await stemma(args, { input: "1 2 3\n" });
  expect(refused.stderr).toContain(`is being written by process ${server.child.pid}; wait for it or choose another`);
  expect(refused.code).not.toBe(0);
  await server.stop();
  const done = await stemma(args, { input: "1 2 3\n" });
  expect(done.stdout).toContain("1 ranking in");
  expect(existsSync(`${file}.lock`)).toBe(false);
  const later = await start("three");
  expect((await next(later)).body).toMatchObject({ question: { index: 1 }, ranked: 1 });
  await later.stop();
});

/** Ranks as a page does, until all is ranked or the server is gone: what had no answer is sent again, under its name. */
class Labeller {
  /** Prompts by the names of decisions that the server said it saved. */
  readonly saved = new Map<string, string>();
  #pending: { readonly body: object & { readonly id: string }; readonly prompt: string } | null = null;

  async work(server: RunningServer): Promise<void> {
    try {
      while (this.#pending !== null || (await this.#look(server))) await this.#send(server);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // fetch: the server does not answer any more
    }
  }

  async #look(server: RunningServer): Promise<boolean> {
    const { question } = (await next(server)).body;
    if (question === null) return false;
    const body = { task: "samples", ticket: question.ticket, order: "2 1 3", id: `decision-${question.index}` };
    this.#pending = { body, prompt: question.prompt[0].content };
    return true;
  }

  /** Twice at once, as by a client that has no patience. */
  async #send(server: RunningServer): Promise<void> {
    if (this.#pending === null) return;
    const { body, prompt } = this.#pending;
    const both = await Promise.all([server.post("/api/rankings", body), server.post("/api/rankings", body)]);
    expect(both.map((answer) => answer.body.isSaved)).toEqual([true, true]);
    this.saved.set(body.id, prompt);
    this.#pending = null;
  }
}

test("killed at any moment while somebody ranks, the file is whole and has every saved ranking once", async () => {
  const labeller = new Labeller();
  for (const wait of [60, 20, 110]) {
    const server = await start("four");
    const killed = new Promise((done) => setTimeout(done, wait)).then(() => server.stop("SIGKILL"));
    await Promise.all([labeller.work(server), killed]);
    if (labeller.saved.size > 0) expect(linesOf("four").length).toBeGreaterThanOrEqual(labeller.saved.size);
  }
  const server = await start("four");
  await labeller.work(server);
  const rows = linesOf("four");
  const all = Array.from({ length: prompts }, (_, i) => [`decision-${i}`, `question ${i}`]);
  expect(rows.map(({ id, prompt }) => [id, prompt])).toEqual(all);
  expect([...labeller.saved]).toEqual(all);
  expect(await readRankings([join(folder.at("four"), "rankings.jsonl")])).toHaveLength(prompts);
  const other = { task: "samples", ticket: "", order: "1 2 3", id: "decision-0" };
  await server.post("/api/rankings/undo", { id: "decision-1" });
  const { ticket } = (await next(server)).body.question;
  const taken = await server.post("/api/rankings", { ...other, ticket });
  expect([taken.status, taken.body.error.param]).toEqual([409, "id"]);
  await server.stop();
});

test("answers of a chat become a task, conversations rows to learn from; each once", async () => {
  const server = await start("five");
  const messages = [{ role: "user", content: "who <b>are</b> you" }];
  const sample = { id: "sent-from-chat", messages, completions: ["a", "b"], models: ["writer", "other"] };
  for (let i = 0; i < 2; i++) expect((await server.post("/api/samples", sample)).status).toBe(200);
  expect((await server.get("/api/rankings")).body.tasks[1]).toEqual({ name: "from-chat", prompts: 1, ranked: 0 });
  const { question } = (await server.get("/api/rankings/next?task=from-chat")).body;
  expect(question.prompt).toEqual(messages);
  const same = await server.post("/api/samples", { ...sample, id: "another-id", completions: ["a", "a"] });
  expect(same.body.error.message).toMatch(/all are the same/);
  const talk = { id: "conversation-1", messages: [...messages, { role: "assistant", content: "nobody" }] };
  for (let i = 0; i < 2; i++) expect((await server.post("/api/conversations", talk)).status).toBe(200);
  const unfinished = await server.post("/api/conversations", { ...talk, id: "conversation-2", messages });
  expect(unfinished.body.error.message).toMatch(/the last one must be the assistant's/);
  const read = await readConversations([join(folder.at("five"), "conversations.jsonl")]);
  expect(read.map(({ messages: turns }) => turns)).toEqual([talk.messages]);
  await server.stop();
  const ranked = await stemma(
    ["rank", "--samples", join(folder.at("five"), "from-chat.jsonl"), "--output", folder.at("five.jsonl")],
    { input: "2 1\n" },
  );
  expect(ranked.stdout).toContain("1 ranking in");
});

test("what comes from a client is never a path, and a server that keeps nothing says so", async () => {
  const server = await start("six");
  for (const task of ["../samples", "%2e%2e%2fsamples.jsonl", "", "samples.jsonl"]) {
    const answer = await server.get(`/api/rankings/next?task=${task}`);
    expect([answer.status, answer.body.error.param]).toEqual([404, "task"]);
  }
  const { ticket } = (await next(server)).body.question;
  const save = { task: "samples", ticket, order: "1 2 3", id: "a-decision" };
  const cases: [object, number, string][] = [
    [{ ...save, ticket: "0.0.0000000000000000" }, 409, "ticket"],
    [{ ...save, ticket: "999.0.0000000000000000" }, 400, "ticket"],
    [{ ...save, ticket: "../x" }, 400, "ticket"],
    [{ ...save, order: "1 2" }, 400, "order"],
    [{ ...save, rater: "a\u202eb" }, 400, "rater"],
    [{ ...save, seconds: -1 }, 400, "seconds"],
    [{ ...save, id: "../../x" }, 400, "id"],
  ];
  for (const [body, status, param] of cases) {
    const answer = await server.post("/api/rankings", body);
    expect([answer.status, answer.body.error.param]).toEqual([status, param]);
  }
  await server.stop();
  const none = await folder.start("--model", folder.at("writer"));
  expect((await none.get("/api/feedback")).body).toEqual({ files: null });
  expect((await none.get("/api/rankings")).body.error.message).toMatch(/start it with --feedback FOLDER/);
  await none.stop();
});
