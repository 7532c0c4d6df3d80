import { expect, test } from "vitest";
import { formatMetric } from "./metric-text.ts";
import { formatDuration, lineProgress } from "./progress.ts";

test("lines come closely at first, then rarely, and always at the end", () => {
  let seconds = 0;
  const lines: string[] = [];
  const progress = lineProgress(
    { title: "pretrain", total: 1000 },
    (line) => lines.push(line),
    () => seconds * 1000,
  );
  for (let step = 1; step <= 1000; step++) {
    seconds += 0.125; // exact in binary
    progress.update(step, [`loss ${step}`]);
  }
  expect(lines[0]).toBe("pretrain 1/1000  loss 1");
  expect(lines[1]).toBe("pretrain 9/1000  loss 9  2 min 4 s left");
  expect(lines.at(-1)).toBe("pretrain 1000/1000  loss 1000");
  expect(lines.length).toBeGreaterThan(15);
  expect(lines.length).toBeLessThan(25);
});

test("a resumed run tells the time left from its own pace", () => {
  let seconds = 0;
  const lines: string[] = [];
  const progress = lineProgress(
    { title: "sft", total: 1000, start: 900 },
    (line) => lines.push(line),
    () => seconds * 1000,
  );
  seconds = 10;
  progress.update(950, []);
  expect(lines).toEqual(["sft 950/1000  10 s left"]);
});

test.each([
  [0.24, "0.2 s"],
  [9.96, "10 s"],
  [59.4, "59 s"],
  [59.6, "1 min 0 s"],
  [200, "3 min 20 s"],
  [7500, "2 h 5 min"],
])("%d seconds are %s", (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});

test.each([
  ["loss", 1.83249, "loss 1.832"],
  ["eval_loss", 0.000051, "eval loss 5.10e-5"],
  ["tokens_per_second", 5210.4, "5,210 tokens/s"],
  ["peak_share", 0.634, "63% of peak"],
  ["eval_perplexity", 48213.2, "eval perplexity 48213"],
])("%s %d reads %s", (name, value, text) => {
  expect(formatMetric(name, value)).toBe(text);
});
