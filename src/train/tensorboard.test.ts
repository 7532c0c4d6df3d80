import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { crc32c } from "./crc32c.ts";
import { EventsWriter, tagOf } from "./tensorboard.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stemma-events-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("the checksum of the nine digits is the published check value", () => {
  expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa); // RFC 3720, appendix B.4
});

test.each([
  ["loss", "train/loss"],
  ["eval_loss", "eval/loss"],
  ["test_accuracy", "test/accuracy"],
  ["objective/kl", "train/objective/kl"],
  ["evaluation", "train/evaluation"],
])("%s is shown as %s", (metric, tag) => {
  expect(tagOf(metric)).toBe(tag);
});

test("an events file holds version, then a value for each metric", () => {
  const writer = new EventsWriter(folder);
  writer.write(300, { loss: 1.5, eval_loss: -2.25 });
  writer.write(2 ** 40, { loss: Number.NaN });
  writer.close();
  const [name] = readdirSync(folder);
  expect(name).toMatch(/^events\.out\.tfevents\.\d{10}\..+/);
  const [first, second, third, ...rest] = readEvents(join(folder, name ?? ""));
  expect(rest).toEqual([]);
  expect(first).toMatchObject({ 3: ["brain.Event:2"] });
  expect(Math.abs(Number(first?.[1]?.[0]) - Date.now() / 1000)).toBeLessThan(60);
  expect(second).toMatchObject({ 2: [300], 5: [{ "train/loss": 1.5, "eval/loss": -2.25 }] });
  expect(third).toMatchObject({ 2: [2 ** 40], 5: [{ "train/loss": Number.NaN }] });
});

test("a resumed run tells TensorBoard to forget later steps", () => {
  new EventsWriter(folder, 500).close();
  const [, restart] = readEvents(join(folder, readdirSync(folder)[0] ?? ""));
  expect(restart).toMatchObject({ 2: [501], 7: ["\u0008\u0001"] });
});

type Fields = Record<number, unknown[]>;

/** Reads back a file of TFRecords by the format's rules, checking lengths and checksums. */
function readEvents(path: string): Fields[] {
  const bytes = readFileSync(path);
  const events: Fields[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(unmask(bytes.readUInt32LE(at + 8))).toBe(crc32c(bytes.subarray(at, at + 8)));
    expect(unmask(bytes.readUInt32LE(at + 12 + length))).toBe(crc32c(data));
    events.push(readFields(data, (field, inner) => (field === 5 ? readSummary(inner) : inner.toString())));
    at += 16 + length;
  }
  return events;
}

function unmask(masked: number): number {
  const rotated = (masked - 0xa282ead8) >>> 0;
  return ((rotated >>> 17) | (rotated << 15)) >>> 0;
}

function readSummary(bytes: Buffer): Record<string, number> {
  const values = readFields(bytes, (_, inner) => readFields(inner, (_field, tag) => tag.toString()));
  return Object.fromEntries((values[1] ?? []).map((value) => [(value as Fields)[1]?.[0], (value as Fields)[2]?.[0]]));
}

function readFields(bytes: Buffer, readBytes: (field: number, inner: Buffer) => unknown): Fields {
  const fields: Fields = {};
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  const take = (count: number): Buffer => {
    at += count;
    return bytes.subarray(at - count, at);
  };
  while (at < bytes.length) {
    const key = varint();
    const field = key >> 3;
    const wire = key & 7;
    fields[field] ??= [];
    if (wire === 0) fields[field].push(varint());
    else if (wire === 1) fields[field].push(take(8).readDoubleLE());
    else if (wire === 5) fields[field].push(take(4).readFloatLE());
    else fields[field].push(readBytes(field, take(varint())));
  }
  return fields;
}
