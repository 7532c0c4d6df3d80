import { expect, test } from "vitest";
import { Screen } from "../../test/screen.ts";
import { formatMetric } from "./metric-text.ts";
import { barProgress, barText, formatDuration, lineProgress } from "./progress.ts";

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

test("notes stand above the bar in their order, and nothing of it is left among them", async () => {
  const screen = new Screen(70, 8);
  screen.write("$ stemma\n");
  const progress = barProgress({ title: "sft", total: 4 }, screen, () => 0);
  for (const step of [1, 2, 3, 4]) {
    progress.update(step, ["loss 1.5"]);
    screen.write("^C"); // as a terminal echoes keys
    progress.note(`step ${step}: ${"long ".repeat(20)}end\nof two lines`); // longer than the screen is wide
  }
  progress.stop();
  screen.write("done\n");
  const lines = await screen.lines();
  const notes = [1, 2, 3, 4].flatMap((step) => [
    `step ${step}: ${"long ".repeat(12)}lo`,
    `ng ${"long ".repeat(7)}end`,
    "of two lines",
  ]);
  expect(lines).toEqual(["$ stemma", ...notes, "sft ██████████ 4/4  loss 1.5", "done"]);
  expect(await screen.cursor()).toEqual({ row: lines.length, column: 0 });
});

test("a bar is drawn ten times a second at most, and its last state always", async () => {
  let milliseconds = 0;
  const screen = new Screen(80, 5);
  const progress = barProgress({ title: "sft", total: 100 }, screen, () => milliseconds);
  milliseconds = 99;
  progress.update(10, []);
  expect(await screen.lines()).toEqual([`sft ${"░".repeat(20)} 0/100`]);
  milliseconds = 100;
  progress.update(20, []);
  progress.update(30, []);
  expect(await screen.lines()).toEqual([`sft ████${"░".repeat(16)} 20/100`]);
  progress.stop();
  expect(await screen.lines()).toEqual([`sft ██████${"░".repeat(14)} 30/100`]);
});

test("a window that is made narrower or wider still shows one bar", async () => {
  const screen = new Screen(100, 6);
  screen.write("above\n");
  const progress = barProgress({ title: "pretrain", total: 10 }, screen, () => 0);
  progress.update(10, ["loss 5.566", "eval loss 5.554", "51,073 tokens/s", "30% of peak"]);
  await screen.resize(50, 6);
  expect(await screen.lines()).toEqual(["above", "pretrain ██████████ 10/10  loss 5.566"]);
  await screen.resize(40, 6);
  await screen.resize(90, 6);
  progress.stop();
  const bar = `pretrain ${"█".repeat(20)} 10/10  loss 5.566  eval loss 5.554  51,073 tokens/s`;
  expect(await screen.lines()).toEqual(["above", bar]);
});

test("where there is little room, the last facts go first, then the time, then the bar", () => {
  const state = { title: "ppo", done: 1, total: 4, facts: ["reward 0.5", "KL 0.1"], left: "9 s left" };
  expect(barText(state, 80)).toBe(`ppo ${"█".repeat(5)}${"░".repeat(15)} 1/4  reward 0.5  KL 0.1  9 s left`);
  expect(barText(state, 49)).toBe("ppo ██░░░░░░░░ 1/4  reward 0.5  KL 0.1  9 s left");
  expect(barText(state, 48)).toBe("ppo ██░░░░░░░░ 1/4  reward 0.5  9 s left");
  expect(barText(state, 40)).toBe("ppo ██░░░░░░░░ 1/4  9 s left");
  expect(barText(state, 28)).toBe("ppo ██░░░░░░░░ 1/4");
  expect(barText(state, 18)).toBe("ppo 1/4");
});

test("what a task or a model is called cannot command the terminal", async () => {
  const screen = new Screen(80, 5);
  const progress = barProgress({ title: "a\u001b[31mtask", total: 0 }, screen, () => 0);
  progress.stop();
  expect(await screen.lines()).toEqual([`a\\x1b[31mtask ${"█".repeat(20)} 0/0`]);
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
