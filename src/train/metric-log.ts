import { open, stat } from "node:fs/promises";
import { fileError, systemCode } from "../files/file-error.ts";
import type { LogPlace } from "./follow-log.ts";
import { MetricBuckets, mostBuckets } from "./metric-buckets.ts";
import type { ScannedLine } from "./metric-scanner.ts";
import { MetricScanner } from "./metric-scanner.ts";
import type { Metrics } from "./run.ts";

/** Bytes that are read at once; a longer line is no record. */
const partBytes = 2 ** 22;

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
  #reading: Promise<void> = Promise.resolve();

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
    const reading = this.#reading.then(() => this.#read());
    this.#reading = reading.catch(() => {});
    return reading;
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
    const before = { tokens: start.tokens, seconds: start.seconds };
    const scanner = new MetricScanner(true);
    const reader = new LineReader(scanner);
    await this.#withFile(async (file) => {
      if (file.name !== place.file) return; // another one took its place just now
      for await (const { bytes, length } of parts(file, start.start, end)) {
        scanner.scan(bytes, length, (line) => {
          if (line.step > to) return;
          if (line.step >= from) {
            if (before.tokens >= 0) Object.assign(buckets, before);
            before.tokens = -1;
            reader.add(line, buckets);
          } else reader.count(line, before);
        });
      }
    });
    return buckets;
  }

  async #read(): Promise<void> {
    await this.#withFile(async (file) => {
      const before = this.#state.place;
      const isAnother = before !== null && (before.file !== file.name || before.offset > file.size);
      if (isAnother) this.#state = newState();
      this.#state.place ??= { offset: 0, file: file.name };
      const { scanner, place } = this.#state;
      for await (const { bytes, length, offset } of parts(file, place.offset, file.size)) {
        this.#state.damagedLines += scanner.scan(bytes, length, (line) => this.#take(line, offset));
        this.#state.place = { offset: offset + length, file: file.name };
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
    state.reader.add(line, buckets);
    if (buckets.seconds > seconds) state.timedTokens += buckets.tokens - tokens;
    if (line.step > state.step) state.step = line.step;
  }

  async #withFile(use: (file: LogFile) => Promise<void>): Promise<void> {
    try {
      const there = await stat(this.#path);
      if (!there.isFile()) return; // opening a pipe would wait for whoever writes it
      const handle = await open(this.#path, "r");
      try {
        const { size, ino } = await handle.stat({ bigint: true });
        await use({ handle, size: Number(size), name: String(ino) });
      } finally {
        await handle.close();
      }
    } catch (error) {
      if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return;
      throw fileError(this.#path, "read", error);
    }
  }
}

interface LogFile {
  readonly handle: Awaited<ReturnType<typeof open>>;
  readonly size: number;
  readonly name: string;
}

/** Whole lines between two places, in parts of bounded size that share their memory. */
async function* parts(
  { handle }: LogFile,
  from: number,
  to: number,
): AsyncGenerator<{ bytes: Buffer; length: number; offset: number }> {
  const bytes = Buffer.allocUnsafe(Math.min(partBytes, Math.max(1, to - from)));
  for (let offset = from; offset < to; ) {
    const { bytesRead } = await handle.read(bytes, 0, Math.min(bytes.length, to - offset), offset);
    const lastBreak = bytes.subarray(0, bytesRead).lastIndexOf(10);
    if (bytesRead === 0 || (lastBreak === -1 && bytesRead < partBytes)) return; // the last line is not whole yet
    const length = lastBreak === -1 ? bytesRead : lastBreak + 1;
    yield { bytes, length, offset };
    offset += length;
  }
}

/** Adds scanned lines to buckets by the names that a scanner knows. */
class LineReader {
  readonly #scanner: MetricScanner;
  readonly #names: string[] = [];

  constructor(scanner: MetricScanner) {
    this.#scanner = scanner;
  }

  add({ step, ids, values, count }: ScannedLine, buckets: MetricBuckets): void {
    for (let i = 0; i < count; i++) this.#names[i] = this.#scanner.names[ids[i] ?? -1] ?? "";
    buckets.add(step, this.#names, values, count);
  }

  /** Counts the tokens and the time of a line that is not shown. */
  count({ ids, values, count }: ScannedLine, sums: { tokens: number; seconds: number }): void {
    let [tokens, pace] = [0, 0];
    for (let i = 0; i < count; i++) {
      const name = this.#scanner.names[ids[i] ?? -1];
      if (name === "tokens") tokens = values[i] ?? 0;
      else if (name === "tokens_per_second") pace = values[i] ?? 0;
    }
    if (tokens > 0) sums.tokens += tokens;
    if (tokens > 0 && pace > 0) sums.seconds += tokens / pace;
  }
}

function newState(): {
  place: LogPlace | null;
  step: number;
  damagedLines: number;
  timedTokens: number;
  readonly scanner: MetricScanner;
  readonly reader: LineReader;
  readonly buckets: MetricBuckets;
  readonly starts: (BucketStart | undefined)[];
} {
  const scanner = new MetricScanner();
  const starts: (BucketStart | undefined)[] = [];
  const buckets = new MetricBuckets({ onWiden: () => joinPairs(starts) });
  const counts = { step: 0, damagedLines: 0, timedTokens: 0 };
  return { place: null, ...counts, scanner, reader: new LineReader(scanner), buckets, starts };
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
