import { appendFileSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { lockRun } from "../../src/train/run-lock.ts";
import type { RunningServer } from "./running-server.ts";
import { ServedFolder } from "./served-folder.ts";

const folder = new ServedFolder();
const hostile = `<img src=x onerror=alert(1)> \u202etxt.exe`;
let server: RunningServer;

function writeRun(id: string, settings: object, lines: readonly object[]): string {
  const path = folder.at(join("runs", id));
  mkdirSync(path, { recursive: true });
  const record = { command: "sft", version: "0.1.0", startedAt: "2026-01-02T03:04:05.000Z", settings, machine: {} };
  writeFileSync(join(path, "settings.json"), JSON.stringify(record));
  writeFileSync(join(path, "metrics.jsonl"), linesOf(lines));
  return path;
}

const linesOf = (records: readonly object[]): string => records.map((record) => `${JSON.stringify(record)}\n`).join("");
const losses = (from: number, to: number): object[] =>
  Array.from({ length: to - from + 1 }, (_, i) => ({ step: from + i, loss: 1 / (from + i), tokens: 4 }));

beforeAll(async () => {
  await folder.write();
  writeRun("road/base", { steps: 10 }, losses(1, 10));
  writeRun("road/sft", { model: "/moved/away/road/base/final", steps: 20 }, losses(1, 3));
  writeRun(hostile, { note: "</script><script>alert(1)</script>" }, [{ step: 1, [hostile]: 1 }]);
  writeFileSync(join(folder.at("runs"), "secret.txt"), "not a run");
  symlinkSync(folder.at("writer"), join(folder.at("runs"), "linked"));
  const samples = [
    { step: 2, prompt: "To", text: " be" },
    {
      step: 3,
      prompt: "<b>",
      text: "x".repeat(2 ** 20),
      score: 0.5,
      tokens: [{ token: "x", kl: 1, value: 2, advantage: 3 }],
    },
    { step: 3, prompt: "no text" },
  ];
  writeFileSync(folder.at("runs/road/sft/samples.jsonl"), linesOf(samples));
  server = await folder.start("--model", folder.at("writer"), "--runs", folder.at("runs"));
}, 120_000);
afterAll(() => folder.remove());

const at = (id: string, rest = ""): string => `/api/runs/${encodeURIComponent(id)}${rest}`;

test("runs are listed by their ids, with what they came from, and names are text whatever they say", async () => {
  const { body } = await server.get("/api/runs");
  expect(body.runs.map(({ id }: { id: string }) => id)).toEqual([hostile, "road/base", "road/sft"].sort());
  const sft = body.runs.find(({ id }: { id: string }) => id === "road/sft");
  expect(sft.origins).toEqual([{ role: "model", run: "road/base", path: "/moved/away/road/base/final" }]);
  const { status, body: one, headers } = await server.get(at(hostile));
  expect([status, headers.get("content-type")]).toEqual([200, "application/json"]);
  expect(one.run.metrics).toEqual({ [hostile]: 1 });
});

test.each(["linked", "..", "../writer", "road/../road/sft", "/etc", "secret.txt", "road", "", "%00", "__proto__"])(
  "%j is no run",
  async (id) => {
    const { status, body } = await server.get(at(id));
    expect(status).toBe(404);
    expect(body.error.message).toMatch(/there is no(thing| run)/);
  },
);

test("metrics come in buckets, a range of steps exactly, and wrong ranges are refused", async () => {
  const all = (await server.get(at("road/base", "/metrics?metrics=loss"))).body;
  expect(all.series.loss).toEqual({
    steps: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    means: losses(1, 10).map((line) => (line as { loss: number }).loss),
  });
  expect(all.tokens).toBe(40);
  const part = (await server.get(at("road/base", "/metrics?from=3&to=4"))).body;
  expect(part.series.loss).toEqual({ steps: [3, 4], means: [1 / 3, 1 / 4] });
  expect(part.series["axis/tokens"].means).toEqual([12, 16]);
  for (const query of ["from=-1", "from=1.5", "to=x", "from=4&to=3", "from="]) {
    expect([query, (await server.get(at("road/base", `/metrics?${query}`))).status]).toEqual([query, 400]);
  }
});

test("samples are those of a step, the newest without one, and a text of a megabyte is whole", async () => {
  const { body } = await server.get(at("road/sft"));
  expect(body.sampleSteps).toEqual([
    { step: 2, count: 1 },
    { step: 3, count: 1 },
  ]);
  const newest = (await server.get(at("road/sft", "/samples"))).body;
  expect(newest.step).toBe(3);
  expect(newest.samples).toHaveLength(1);
  expect(newest.samples[0]).toMatchObject({ score: 0.5, tokens: [{ token: "x", kl: 1, value: 2, advantage: 3 }] });
  expect(newest.samples[0].text).toHaveLength(2 ** 20);
  expect((await server.get(at("road/sft", "/samples?step=2"))).body.samples).toEqual([
    { step: 2, prompt: "To", text: " be" },
  ]);
});

interface Event {
  readonly type: string;
  readonly id: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests say what they expect in it
  readonly data: any;
}

/** Reads a stream of events until one is as wanted, and lets it go; all that came. */
async function eventsUntil(path: string, isLast: (event: Event) => boolean, lastId?: string): Promise<Event[]> {
  const end = new AbortController();
  const headers = lastId === undefined ? {} : { "last-event-id": lastId };
  const response = await fetch(server.url + path, { signal: end.signal, headers });
  const seen: Event[] = [];
  let text = "";
  for await (const piece of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    text += piece;
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      const [, type = "", id = "", data = "null"] = /^event: (.*)\nid: (.*)\ndata: (.*)$/.exec(block) ?? [];
      seen.push({ type, id, data: JSON.parse(data) });
      if (!isLast(seen.at(-1) as Event)) continue;
      end.abort();
      return seen;
    }
  }
  return seen;
}

test("a page that watches a run gets each line once: as it grows, after the stream broke, and anew when it was resumed", async () => {
  const path = writeRun("live", { steps: 100 }, losses(1, 3));
  const place = (await server.get(at("live", "/metrics"))).body.place;
  const log = join(path, "metrics.jsonl");
  const events = `/api/events?run=${encodeURIComponent("road/base")}&run=live`;
  const basePlace = (await server.get(at("road/base", "/metrics"))).body.place;

  const growing = eventsUntil(events, ({ type }) => type === "metrics", `${basePlace},${place}`);
  const unlock = lockRun(path);
  appendFileSync(log, `${linesOf(losses(4, 5))}{"step":6,"lo`);
  const first = (await growing).at(-1) as Event;
  expect(first.data).toEqual({ run: "live", lines: losses(4, 5) });

  appendFileSync(log, 'ss":0.125}\n');
  const isUpToDate = ({ data }: Event): boolean =>
    data.runs?.some((run: { id: string; state: string; step: number }) => run.id === "live" && run.step === 6) === true;
  const second = await eventsUntil(events, isUpToDate, first.id);
  expect(second.at(-1)?.data.runs).toMatchObject([{ id: "live", state: "running" }]);
  expect(second.filter(({ type }) => type === "metrics").map(({ data }) => data)).toEqual([
    { run: "live", lines: [{ step: 6, loss: 0.125 }] },
  ]);

  writeFileSync(`${log}.new`, linesOf(losses(1, 2)));
  renameSync(`${log}.new`, log);
  const third = await eventsUntil(events, ({ type }) => type === "reset", second.at(-1)?.id);
  expect(third.at(-1)?.data).toEqual({ run: "live" });
  expect(third.filter(({ type }) => type === "metrics")).toEqual([]);
  expect((await server.get(at("live", "/metrics"))).body.series.loss.steps).toEqual([1, 2]);
  unlock();
});

test("an open page does not keep the server from ending", async () => {
  const reading = eventsUntil("/api/events", () => false);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await server.stop()).toBe(143);
  expect((await reading)[0]?.type).toBe("runs");
});
