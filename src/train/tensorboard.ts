import { appendFileSync, closeSync, openSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { fileError } from "../files/file-error.ts";
import { crc32c } from "./crc32c.ts";

/** Appends scalars to a TensorBoard events file of its own, `events.out.tfevents.<seconds>.<host>.<pid>`. */
export class EventsWriter {
  readonly path: string;
  readonly #file: number;

  /**
   * Makes the file in `folder`. `resumedAt` is the last step that a resumed run keeps, −1 for none: TensorBoard then
   * forgets what earlier files of the folder say about later steps.
   *
   * @throws {FileError} when the folder cannot be written.
   */
  constructor(folder: string, resumedAt: number | null = null) {
    const now = Date.now() / 1000;
    this.path = join(folder, `events.out.tfevents.${Math.floor(now)}.${hostname()}.${process.pid}`);
    try {
      this.#file = openSync(this.path, "a");
    } catch (error) {
      throw fileError(this.path, "write", error);
    }
    this.#append(concat(double(1, now), text(3, "brain.Event:2")));
    if (resumedAt !== null) {
      const restart = message(7, varint(1, 1)); // session_log with status START
      this.#append(concat(double(1, now), varint(2, resumedAt + 1), restart));
    }
  }

  /** Adds one value for each metric, under {@link tagOf} its name. */
  write(step: number, metrics: Readonly<Record<string, number>>): void {
    const values = Object.entries(metrics).map(([name, value]) =>
      message(1, concat(text(1, tagOf(name)), float(2, value))),
    );
    this.#append(concat(double(1, Date.now() / 1000), varint(2, step), message(5, concat(...values))));
  }

  /** Ends the file. */
  close(): void {
    closeSync(this.#file);
  }

  #append(event: Uint8Array): void {
    try {
      appendFileSync(this.#file, frameRecord(event));
    } catch (error) {
      throw fileError(this.path, "write", error);
    }
  }
}

/** `eval_loss` is shown as `eval/loss`, `test_loss` as `test/loss`, anything else as `train/…`. */
export function tagOf(metric: string): string {
  const [, split, name] = /^(eval|test)_(.+)$/.exec(metric) ?? [];
  return split === undefined ? `train/${metric}` : `${split}/${name}`;
}

/** A TFRecord: length, its masked checksum, the data, its masked checksum, all little-endian. */
export function frameRecord(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(data.byteLength + 16);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.byteLength), true);
  view.setUint32(8, maskedChecksum(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.byteLength, maskedChecksum(data), true);
  return record;
}

/** CRC-32C rotated and shifted, so that a checksum of data that holds checksums stays a good one. */
function maskedChecksum(bytes: Uint8Array): number {
  const checksum = crc32c(bytes);
  return (((checksum >>> 15) | (checksum << 17)) + 0xa282ead8) >>> 0;
}

// Protocol buffer fields: a key (number and wire type), then the value.

function varint(field: number, value: number): Uint8Array {
  return concat(varintBytes(field << 3), varintBytes(value));
}

function double(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return concat(varintBytes((field << 3) | 1), bytes);
}

function float(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return concat(varintBytes((field << 3) | 5), bytes);
}

function message(field: number, bytes: Uint8Array): Uint8Array {
  return concat(varintBytes((field << 3) | 2), varintBytes(bytes.byteLength), bytes);
}

function text(field: number, value: string): Uint8Array {
  return message(field, new TextEncoder().encode(value));
}

/** Seven bits a byte, lowest first, the top bit telling that more follow. For integers of 0 … 2⁵³. */
function varintBytes(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.of(...bytes, rest);
    bytes.push((rest % 128) | 128);
  }
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}
