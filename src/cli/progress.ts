import { printable } from "./printable.ts";
import type { TerminalStream } from "./status-line.ts";
import { StatusLine } from "./status-line.ts";

/** What a long piece of work is and how many steps it has. */
export interface ProgressPlan {
  /** What is going on, in a word: `pretrain`. */
  readonly title: string;
  readonly total: number;
  /** Steps that were done before. 0 when left out. */
  readonly start?: number;
  /** How a number of steps is written, where it is bytes; as it is when left out. */
  readonly count?: (steps: number) => string;
}

/** How far a long piece of work is. */
export interface Progress {
  /** Tells that `done` steps are done, and what there is to say about the last one: `loss 3.21`, `5,200 tokens/s`. */
  update(done: number, facts: readonly string[]): void;
  /** Ends the bar, leaving it as it is. */
  stop(): void;
}

/** Progress and how other lines come past it. */
export interface ShownProgress extends Progress {
  /** Writes a line above the bar. */
  note(line: string): void;
  /** Lets `write` write whole lines to standard output, above the bar where that is the same terminal. */
  makeWay(write: () => void): void;
}

/** Seconds between lines where there is no terminal: close at first, then rarer. */
const lineIntervals = [1, 2, 5, 10];

/** Milliseconds between two drawings of a bar. */
const drawInterval = 100;

/** A bar that redraws itself on a terminal. */
export function barProgress(plan: ProgressPlan, stream: TerminalStream, now = () => performance.now()): ShownProgress {
  const clock = remainingTime(plan, now);
  let state: BarState = { ...plan, title: printable(plan.title), done: plan.start ?? 0, facts: [], left: "" };
  let drawnAt = now();
  const line = new StatusLine(stream, (columns) => barText(state, columns));
  return {
    update(done, facts) {
      state = { ...state, done, facts, left: done < plan.total ? clock(done) : "" };
      if (done < plan.total && now() - drawnAt < drawInterval) return;
      drawnAt = now();
      line.draw();
    },
    note: (text) => line.writeAbove(text),
    makeWay: (write) => line.makeWay(write),
    stop: () => line.end(),
  };
}

/** What a bar shows. */
interface BarState {
  readonly count?: (steps: number) => string;
  readonly title: string;
  readonly done: number;
  readonly total: number;
  readonly facts: readonly string[];
  readonly left: string;
}

/** Title, bar, count, facts and time left, as much as there is room for: last facts go first, then time, then bar. */
export function barText({ title, done, total, facts, left, count: write = String }: BarState, columns: number): string {
  const reached = `${write(done)}/${write(total)}`;
  const bar = drawBar(total === 0 ? 1 : done / total, columns < 80 ? 10 : 20);
  const text = (count: number, time: string): string =>
    [`${title} ${bar} ${reached}`, ...facts.slice(0, count), time].filter((part) => part !== "").join("  ");
  for (let count = facts.length; count >= 0; count--) {
    if (text(count, left).length < columns) return text(count, left);
  }
  return text(0, "").length < columns ? text(0, "") : `${title} ${reached}`;
}

function drawBar(share: number, size: number): string {
  const full = Math.floor(Math.min(1, share) * size);
  return "█".repeat(full) + "░".repeat(size - full);
}

/** A line every few seconds, for logs. The first and last step always get one. */
export function lineProgress(
  plan: ProgressPlan,
  write: (line: string) => void,
  now = () => performance.now(),
): ShownProgress {
  const clock = remainingTime(plan, now);
  const { count = String } = plan;
  let lines = 0;
  let last = "";
  let lastAt = Number.NEGATIVE_INFINITY;
  return {
    update(done, facts) {
      const interval = lineIntervals[Math.min(lines >> 2, lineIntervals.length - 1)] ?? 0;
      if (done < plan.total && now() - lastAt < interval * 1000) return;
      const left = done < plan.total ? [clock(done)].filter((text) => text !== "") : [];
      const line = [`${plan.title} ${count(done)}/${count(plan.total)}`, ...facts, ...left].join("  ");
      if (line === last) return;
      lines += 1;
      [last, lastAt] = [line, now()];
      write(line);
    },
    note: write,
    makeWay: (writeOther) => writeOther(),
    stop: () => {},
  };
}

/** A function that says how long the rest takes, from the pace so far. */
function remainingTime(plan: ProgressPlan, now = () => performance.now()): (done: number) => string {
  const start = plan.start ?? 0;
  const startedAt = now();
  return (done) => {
    const elapsed = (now() - startedAt) / 1000;
    if (done <= start || elapsed < 0.5) return "";
    return `${formatDuration((elapsed / (done - start)) * (plan.total - done))} left`;
  };
}

/** `0.4 s`, `45 s`, `3 min 20 s`, `2 h 5 min`. */
export function formatDuration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
