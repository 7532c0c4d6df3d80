import type { Writable } from "node:stream";
import { Presets, SingleBar } from "cli-progress";

/** What a long piece of work is and how many steps it has. */
export interface ProgressPlan {
  /** What is going on, in a word: `pretrain`. */
  readonly title: string;
  readonly total: number;
  /** Steps that were done before. 0 when left out. */
  readonly start?: number;
}

/** How far a long piece of work is. */
export interface Progress {
  /** Tells that `done` steps are done, and what there is to say about the last one: `loss 3.21`, `5,200 tokens/s`. */
  update(done: number, facts: readonly string[]): void;
  /** Writes a line above the bar. */
  note(line: string): void;
  /** Ends the bar, leaving it as it is. */
  stop(): void;
}

/** Seconds between lines where there is no terminal: close at first, then rarer. */
const lineIntervals = [1, 2, 5, 10];

/** A bar that redraws itself on a terminal. */
export function barProgress(plan: ProgressPlan, stream: Writable & NodeJS.WritableStream): Progress {
  const start = plan.start ?? 0;
  const clock = remainingTime(plan);
  const format = `${plan.title} {bar} {value}/{total}  {facts}  {left}`;
  const bar = new SingleBar(
    { stream, format, barsize: 20, hideCursor: true, fps: 8, linewrap: false, etaBuffer: 1, gracefulExit: false },
    Presets.shades_classic,
  );
  bar.start(plan.total, start, { facts: "", left: "" });
  return {
    update: (done, facts) => bar.update(done, { facts: facts.join("  "), left: done < plan.total ? clock(done) : "" }),
    note(line) {
      // The bar's own line is cleared first; it is drawn again with the next update.
      stream.write(`\r\u001b[K${line}\n`);
      bar.render();
    },
    stop: () => bar.stop(),
  };
}

/** A line every few seconds, for logs. The first and last step always get one. */
export function lineProgress(
  plan: ProgressPlan,
  write: (line: string) => void,
  now = () => performance.now(),
): Progress {
  const clock = remainingTime(plan, now);
  let lines = 0;
  let lastAt = Number.NEGATIVE_INFINITY;
  return {
    update(done, facts) {
      const interval = lineIntervals[Math.min(lines >> 2, lineIntervals.length - 1)] ?? 0;
      if (done < plan.total && now() - lastAt < interval * 1000) return;
      lines += 1;
      lastAt = now();
      const left = done < plan.total ? [clock(done)].filter((text) => text !== "") : [];
      write([`${plan.title} ${done}/${plan.total}`, ...facts, ...left].join("  "));
    },
    note: write,
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
