import { parseLogLine } from "./log.ts";

/** One line of a log of metrics. Its arrays are written anew by the next line. */
export interface ScannedLine {
  readonly step: number;
  /** How many metrics it has. */
  readonly count: number;
  readonly names: readonly string[];
  readonly values: readonly number[];
  /** Where it begins and ends among the bytes that were scanned. */
  readonly start: number;
  readonly end: number;
}

/** Different names that are told apart; what comes after them is left out. A run has a few dozen. */
const mostNames = 512;

interface Key {
  readonly id: number;
  /** `"loss":`, as bytes. */
  readonly bytes: Buffer;
}

const [lineBreak, quote, comma, minus, plus, dot, zero, colon] = [10, 34, 44, 45, 43, 46, 48, 58];
const [largeE, smallE, open, close] = [69, 101, 123, 125];
const powers = Array.from({ length: 23 }, (_, i) => 10 ** i);

/**
 * Reads lines such as `{"step":3,"loss":2.5}` from bytes, several times faster than by making an object of each. A line of
 * another form is parsed as JSON; what is not a finite number in it is left out.
 */
export class MetricScanner {
  /** Names of metrics in the order in which they came, without `step`. */
  readonly names: string[] = [];
  readonly #ids = new Map<string, number>([["step", -1]]);
  /** Keys in the order of the line before: the next one probably has the same. */
  readonly #expected: Key[] = [];
  readonly #line = { step: 0, count: 0, names: [] as string[], values: [] as number[], start: 0, end: 0 };
  /** Which metrics the line has, and where their values stand; -1 where it was parsed as a whole. */
  readonly #places = { ids: [] as number[], starts: [] as number[], ends: [] as number[] };
  /** Where the newest value of each metric stands, to be read exactly at the end; -1 where it is known. */
  readonly #spans: ({ start: number; end: number; value: number } | undefined)[] = [];
  readonly #largest: number;
  #at = 0;
  #bytes: Buffer = Buffer.alloc(0);

  /** Exact numbers take three times as long as those that may differ in their last bit. */
  constructor(isExact = false) {
    this.#largest = isExact ? Number.MAX_SAFE_INTEGER : 1e22;
  }

  /** The newest value of a metric, exactly; undefined where there is none. */
  newest(id: number): number | undefined {
    return this.#spans[id]?.value;
  }

  /**
   * Scans whole lines.
   *
   * @returns how many are no record.
   */
  scan(bytes: Buffer, end: number, onLine: (line: ScannedLine) => void): number {
    this.#bytes = bytes;
    let damaged = 0;
    for (let start = 0; start < end; start = this.#line.end + 1) {
      if (this.#readPlain(start, end)) {
        this.#keep();
        onLine(this.#line);
      } else damaged += this.#readAny(start, end, onLine);
    }
    this.#readNewest();
    return damaged;
  }

  /** A line of names and numbers alone. */
  #readPlain(start: number, end: number): boolean {
    const bytes = this.#bytes;
    const line = this.#line;
    line.start = start;
    line.step = Number.NaN;
    line.count = 0;
    if (bytes[start] !== open) return false;
    this.#at = start + 1;
    for (let place = 0; ; place++) {
      const id = this.#readKey(place, end);
      if (id === null) return false;
      const from = this.#at;
      const value = this.#readValue();
      if (value === undefined) return false;
      if (value !== null) this.#take(id, value, from, this.#at);
      const next = bytes[this.#at];
      if (next === close) break;
      if (next !== comma) return false;
      this.#at += 1;
    }
    line.end = this.#at + 1;
    return (line.end === end || bytes[line.end] === lineBreak) && Number.isFinite(line.step);
  }

  /** The id of the key at the place reached, -1 for the step, null where none can be read simply. */
  #readKey(place: number, end: number): number | null {
    const bytes = this.#bytes;
    const at = this.#at;
    const expected = this.#expected[place];
    if (expected !== undefined && startsWith(bytes, at, expected.bytes)) {
      this.#at = at + expected.bytes.length;
      return expected.id;
    }
    if (bytes[at] !== quote) return null;
    const stop = bytes.indexOf(quote, at + 1);
    if (stop === -1 || stop >= end || bytes[stop + 1] !== colon) return null;
    const name = bytes.toString("utf8", at + 1, stop);
    if (name.includes("\\")) return null;
    const id = this.#idOf(name);
    this.#expected[place] = { id, bytes: Buffer.from(bytes.subarray(at, stop + 2)) };
    this.#at = stop + 2;
    return id;
  }

  /** The number at the place reached; null for `null`, undefined for what is neither. */
  #readValue(): number | null | undefined {
    if (!startsWith(this.#bytes, this.#at, nullBytes)) return this.#readNumber();
    this.#at += nullBytes.length;
    return null;
  }

  #readNumber(): number | null | undefined {
    const bytes = this.#bytes;
    const start = this.#at;
    const isNegative = bytes[start] === minus;
    const first = isNegative ? start + 1 : start;
    this.#at = first;
    let mantissa = this.#readDigits(0);
    if (this.#at === first || (this.#at > first + 1 && bytes[first] === zero)) return undefined;
    let decimals = 0;
    if (bytes[this.#at] === dot) {
      const point = ++this.#at;
      mantissa = this.#readDigits(mantissa);
      decimals = this.#at - point;
      if (decimals === 0) return undefined;
    }
    const next = bytes[this.#at];
    if (next === smallE || next === largeE) return this.#readExponent(start);
    if (decimals > 22 || mantissa > this.#largest) return finite(Number(bytes.toString("latin1", start, this.#at)));
    const size = decimals === 0 ? mantissa : mantissa / (powers[decimals] ?? 1);
    return isNegative ? -size : size;
  }

  /** Goes on with a number by the digits at the place reached. */
  #readDigits(before: number): number {
    const bytes = this.#bytes;
    let number = before;
    let at = this.#at;
    for (let digit = digitOf(bytes[at]); digit <= 9; digit = digitOf(bytes[++at])) number = number * 10 + digit;
    this.#at = at;
    return number;
  }

  /** A number with an exponent is rare, and left to the language. */
  #readExponent(start: number): number | null | undefined {
    const bytes = this.#bytes;
    let at = this.#at + 1;
    if (bytes[at] === minus || bytes[at] === plus) at += 1;
    const first = at;
    while (digitOf(bytes[at]) <= 9) at += 1;
    if (at === first) return undefined;
    this.#at = at;
    return finite(Number(bytes.toString("latin1", start, at)));
  }

  /** A line of any form; how many it was that are no record. */
  #readAny(start: number, end: number, onLine: (line: ScannedLine) => void): 0 | 1 {
    const line = this.#line;
    const found = this.#bytes.indexOf(lineBreak, start);
    line.end = found === -1 || found > end ? end : found;
    const text = this.#bytes.toString("utf8", start, line.end);
    const record = parseLogLine(text);
    if (record === null || !Number.isFinite(record.step)) return text.trim() === "" ? 0 : 1;
    line.count = 0;
    line.step = record.step;
    for (const [name, value] of Object.entries(record)) {
      if (typeof value === "number" && Number.isFinite(value)) this.#take(this.#idOf(name), value, -1, -1);
    }
    this.#keep();
    onLine(line);
    return 0;
  }

  #take(id: number, value: number, start: number, end: number): void {
    const line = this.#line;
    if (id === -1) line.step = value;
    if (id < 0) return;
    line.names[line.count] = this.names[id] ?? "";
    line.values[line.count] = value;
    this.#places.ids[line.count] = id;
    this.#places.starts[line.count] = start;
    this.#places.ends[line.count] = end;
    line.count += 1;
  }

  /** Remembers the values of a line that turned out to be whole. */
  #keep(): void {
    const { count, values } = this.#line;
    const { ids, starts, ends } = this.#places;
    for (let i = 0; i < count; i++) {
      const id = ids[i] ?? 0;
      const span = this.#spans[id] ?? { start: -1, end: -1, value: 0 };
      span.start = starts[i] ?? -1;
      span.end = ends[i] ?? -1;
      span.value = values[i] ?? 0;
      this.#spans[id] = span;
    }
  }

  #readNewest(): void {
    for (const span of this.#spans) {
      if (span === undefined || span.start === -1) continue;
      span.value = Number(this.#bytes.toString("latin1", span.start, span.end));
      span.start = -1;
    }
    this.#bytes = Buffer.alloc(0);
  }

  /** -2 for a name that is one too many. */
  #idOf(name: string): number {
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    if (this.names.length === mostNames) return -2;
    this.names.push(name);
    this.#ids.set(name, this.names.length - 1);
    return this.names.length - 1;
  }
}

const nullBytes = Buffer.from("null");

function startsWith(bytes: Buffer, at: number, word: Buffer): boolean {
  for (let i = 0; i < word.length; i++) if (bytes[at + i] !== word[i]) return false;
  return true;
}

/** More than 9 where it is none. */
function digitOf(byte: number | undefined): number {
  return ((byte ?? 0) - zero) >>> 0;
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
