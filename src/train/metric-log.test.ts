import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Random } from "../core/random.ts";
import { axes, MetricBuckets } from "./metric-buckets.ts";
import { MetricLog } from "./metric-log.ts";

let path = "";
beforeEach(() => {
  path = join(mkdtempSync(join(tmpdir(), "stemma-metrics-")), "metrics.jsonl");
});
afterEach(() => rmSync(join(path, ".."), { recursive: true }));

const lines = (records: readonly object[]): string => records.map((record) => `${JSON.stringify(record)}\n`).join("");

async function logOf(text: string): Promise<MetricLog> {
  writeFileSync(path, text);
  const log = new MetricLog(path);
  await log.update();
  return log;
}

test("numbers of every form are what JSON makes of them, and the newest of each to the last bit", async () => {
  const texts = ["0", "-0.5", "27.123047310642114", "8.881784197001252e-16", "1E+3", "123456789012345678901234567890"];
  texts.push("0.000003802344739511909", "1e-400", "-1.7976931348623157e308", "0.1", "4.9406564584124654e-324");
  const log = await logOf(texts.map((text, step) => `{"step":${step},"x":${text},"x${step}":${text}}\n`).join(""));
  const { metrics } = log.summary;
  expect(texts.map((_, step) => metrics[`x${step}`])).toEqual(texts.map(Number));
  const { means } = log.buckets.columns("x");
  for (const [i, text] of texts.entries()) {
    expect(Math.abs((means[i] ?? Number.NaN) - Number(text))).toBeLessThanOrEqual(4e-16 * Math.abs(Number(text)));
  }
});

test("what JSON refuses is damaged; other forms of JSON are read, and numbers alone are kept", async () => {
  const wrong = ['{"step":1,"loss":01}', '{"step":1,"loss":1.}', '{"step":1,"loss":.5}', '{"step":1,"loss":+1}'];
  wrong.push(
    '{"step":1,"loss":8,"other":1,}',
    '{"step":1,"loss":1e}',
    '{"step":1 "loss":1}',
    '{"loss":1}',
    "[1]",
    "nonsense",
  );
  wrong.push('{"step":"1"}', '{"step":null}', '{"step":1}}', '{"step":1} {"step":2}', '{"step":1,"loss":NaN}');
  const right = ['{ "step" : 5 , "loss" : 2.5, "note" : "a\\"b" }\r', '{"step":6,"lo\\u0073s":2,"list":[1]}', ""];
  const log = await logOf([...wrong, ...right, '{"__proto__":3,"step":7,"loss":null}', ""].join("\n"));
  const { step, damagedLines, metrics } = log.summary;
  expect({ step, damagedLines }).toEqual({ step: 7, damagedLines: wrong.length });
  expect(Object.entries(metrics)).toEqual([
    ["loss", 2],
    ["__proto__", 3],
  ]);
  expect(log.buckets.columns("loss")).toEqual({ steps: [5, 6], means: [2.5, 2] });
});

test("a log that grows is read on; half a line waits, and another file in its place begins anew", async () => {
  const log = await logOf('{"step":1,"loss":4}\n{"step":2,"lo');
  expect(log.place?.offset).toBe(20);
  appendFileSync(path, 'ss":3}\n');
  await log.update();
  expect(log.buckets.columns("loss").means).toEqual([4, 3]);
  writeFileSync(`${path}.new`, lines([{ step: 1, loss: 9 }]));
  renameSync(`${path}.new`, path);
  await log.update();
  expect(log.buckets.columns("loss").means).toEqual([9]);
  writeFileSync(path, ""); // cut in place
  await log.update();
  expect(log.summary).toEqual({ step: 0, metrics: {}, seconds: 0, damagedLines: 0 });
});

test("buckets of a long log leave nothing out, and a range of it is exact", async () => {
  const draws = new Random(7).reader();
  const records = Array.from({ length: 5000 }, (_, i) => ({
    step: i + 1,
    loss: draws.uniform(),
    tokens: 10,
    tokens_per_second: 5,
  }));
  const log = await logOf(lines(records));
  const { steps, means, counts = [], lows, highs } = log.buckets.columns("loss");
  expect(log.buckets.width).toBe(4);
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(5000);
  const inBucket = records.filter(({ step }) => Math.floor(step / 4) === 500).map(({ loss }) => loss);
  expect(steps[500]).toBe(2001.5);
  expect(means[500]).toBeCloseTo(inBucket.reduce((sum, loss) => sum + loss, 0) / 4, 12);
  expect([lows?.[500], highs?.[500]]).toEqual([Math.min(...inBucket), Math.max(...inBucket)]);

  const range = await log.range(1234, 1300);
  expect(range.width).toBe(1);
  expect(range.columns("loss")).toEqual({
    steps: records.slice(1233, 1300).map(({ step }) => step),
    means: records.slice(1233, 1300).map(({ loss }) => loss),
  });
  // Tokens and time go on from what came before the range.
  expect(range.columns(axes.tokens).means.slice(0, 2)).toEqual([12340, 12350]);
  expect(range.columns(axes.seconds).means[0]).toBeCloseTo(1234 * 2, 9);
  expect((await log.range(9000, 9100)).columns("loss").means).toEqual([]);
});

test("buckets that travelled are added to as those that did not", async () => {
  const [stayed, first] = [new MetricBuckets(), new MetricBuckets()];
  const add = (buckets: MetricBuckets, step: number): void => buckets.add(step, ["loss", "tokens"], [step * 0.5, 2]);
  for (let step = 0; step < 3000; step++) add(stayed, step);
  for (let step = 0; step < 1500; step++) add(first, step);
  const travelled = MetricBuckets.from(JSON.parse(JSON.stringify(first.state())));
  for (let step = 1500; step < 3000; step++) add(travelled, step);
  expect(travelled.state()).toEqual(stayed.state());
});

test("a line of a megabyte, steps without end and a thousand names do no harm", async () => {
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`m${i}`, i]));
  const long = { step: 2, loss: 1, text: "x".repeat(2 ** 20) };
  const log = await logOf(
    lines([{ step: 1, loss: 2 }, long, { step: 1e300, loss: 3 }, { step: -1, loss: 3 }, { step: 3, ...many }]),
  );
  expect(log.buckets.columns("loss").means).toEqual([2, 1]);
  expect(log.buckets.names.length).toBeLessThanOrEqual(512);
  expect(log.summary.step).toBe(3);
});

test("where there is no file there is nothing", async () => {
  const log = new MetricLog(path);
  await log.update();
  expect(log.place).toBeNull();
  expect((await log.range(0, 10)).names).toEqual([]);
});
