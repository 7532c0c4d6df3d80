import { Mutex } from "../core/mutex.ts";
import { fileError } from "../files/file-error.ts";
import type { LogFile, LogPlace } from "./log-file.ts";
import { isAnother, openLog, wholeLines } from "./log-file.ts";
import { MetricBuckets, mostBuckets } from "./metric-buckets.ts";
import type { ScannedLine } from "./metric-scanner.ts";
import { MetricScanner } from "./metric-scanner.ts";
import type { Metrics } from "./run.ts";

/** What the metrics of a run come to. */
export interface LogSummary {
  /** Updates that the log knows of. */
  readonly step: number;
  /** The newest value of every metric. */
  readonly metrics: Metrics;
  /** Time that the steps took, all processes together, without evaluations and checkpoints. */
  readonly seconds: number;
  /** Lines that are no record. */
  readonly damagedLines: number;
}

/** What is known of the lines of a bucket, for reading it again: bytes, and what came before. */
interface BucketStart {
  start: number;
  end: number;
  tokens: number;
  seconds: number;
}

/**
 * A `metrics.jsonl` that is read once and then as it grows: its summary, its metrics in buckets, and any part of it exactly.
 * A run that goes on from an earlier checkpoint puts another file in its place, which is read from its beginning.
 */
export class MetricLog {
  readonly #path: string;
  #state = newState();
  readonly #reading = new Mutex();

  constructor(path: string) {
    this.#path = path;
  }

  /** How far it was read; null where there is nothing yet. */
  get place(): LogPlace | null {
    return this.#state.place;
  }

  get buckets(): MetricBuckets {
    return this.#state.buckets;
  }

  get summary(): LogSummary {
    const { scanner, buckets, step, damagedLines, timedTokens } = this.#state;
    const metrics = scanner.names.map((name, id) => [name, scanner.newest(id)] as const);
    const known = metrics.filter((entry): entry is [string, number] => entry[1] !== undefined);
    // The first step of a process is not timed: it is taken to be as fast as the others.
    const seconds = timedTokens === 0 ? 0 : (buckets.seconds * buckets.tokens) / timedTokens;
    return { step, metrics: Object.fromEntries(known), seconds, damagedLines };
  }

  /**
   * Reads what came since the last time. A last line that is still being written is left for the next.
   *
   * @throws {FileError} when the file cannot be read.
   */
  update(): Promise<void> {
    return this.#reading.run(() => this.#read());
  }

  /**
   * The lines of steps `from` to `to` in buckets of their own: of one step each where there are at most 2048.
   *
   * @throws {FileError} when the file cannot be read.
   */
  async range(from: number, to: number): Promise<MetricBuckets> {
    await this.update();
    const { buckets: all, starts, place } = this.#state;
    const width = Math.max(1, Math.ceil((to - from + 1) / mostBuckets));
    const buckets = new MetricBuckets({ origin: from, width });
    const [first, last] = [from, to].map((step) => Math.floor((step - all.origin) / all.width));
    const wanted = starts.slice(Math.max(0, first ?? 0), (last ?? 0) + 1).filter((entry) => entry !== undefined);
    const [earliest] = wanted;
    if (earliest === undefined || place === null) return buckets;
    const start = wanted.reduce((least, entry) => (entry.start < least.start ? entry : least), earliest);
    const end = wanted.reduce((most, entry) => Math.max(most, entry.end), 0);
    Object.assign(buckets, { tokens: start.tokens, seconds: start.seconds });
    const scanner = new MetricScanner(true);
    await this.#withFile(async (log) => {
      if (log.file !== place.file) return; // another one took its place just now
      for await (const { bytes, length } of wholeLines(log, start.start, end)) {
        scanner.scan(bytes, length, (line) => {
          if (line.step >= 0 && line.step <= to) buckets.add(line.step, line.names, line.values, line.count);
        });
      }
    });
    return buckets;
  }

  async #read(): Promise<void> {
    await this.#withFile(async (log) => {
      const { file, size } = log;
      const before = this.#state.place;
      if (before !== null && isAnother(log, before)) this.#state = newState();
      this.#state.place ??= { offset: 0, file };
      const { scanner, place } = this.#state;
      for await (const { bytes, length, offset } of wholeLines(log, place.offset, size)) {
        this.#state.damagedLines += scanner.scan(bytes, length, (line) => this.#take(line, offset));
        this.#state.place = { offset: offset + length, file };
      }
    });
  }

  #take(line: ScannedLine, offset: number): void {
    const state = this.#state;
    if (!(line.step >= 0 && line.step <= Number.MAX_SAFE_INTEGER)) return;
    const { buckets, starts } = state;
    const place = buckets.bucketOf(line.step);
    const [start, end] = [offset + line.start, offset + line.end + 1];
    const known = starts[place];
    if (known === undefined) starts[place] = { start, end, tokens: buckets.tokens, seconds: buckets.seconds };
    else known.end = end;
    const tokens = buckets.tokens;
    const seconds = buckets.seconds;
    buckets.add(line.step, line.names, line.values, line.count);
    if (buckets.seconds > seconds) state.timedTokens += buckets.tokens - tokens;
    if (line.step > state.step) state.step = line.step;
  }

  async #withFile(use: (log: LogFile) => Promise<void>): Promise<void> {
    const log = await openLog(this.#path);
    if (log === null) return;
    try {
      await use(log);
    } catch (error) {
      throw fileError(this.#path, "read", error);
    } finally {
      await log.handle.close();
    }
  }
}

function newState(): {
  place: LogPlace | null;
  step: number;
  damagedLines: number;
  timedTokens: number;
  readonly scanner: MetricScanner;
  readonly buckets: MetricBuckets;
  readonly starts: (BucketStart | undefined)[];
} {
  const scanner = new MetricScanner();
  const starts: (BucketStart | undefined)[] = [];
  const buckets = new MetricBuckets({ onWiden: () => joinPairs(starts) });
  const counts = { step: 0, damagedLines: 0, timedTokens: 0 };
  return { place: null, ...counts, scanner, buckets, starts };
}

/** Two buckets become one. */
function joinPairs(starts: (BucketStart | undefined)[]): void {
  const half = Math.ceil(starts.length / 2);
  for (let i = 0; i < half; i++) {
    const [left, right] = [starts[2 * i], starts[2 * i + 1]];
    starts[i] = left && right ? { ...left, end: Math.max(left.end, right.end) } : (left ?? right);
  }
  starts.length = half;
}
