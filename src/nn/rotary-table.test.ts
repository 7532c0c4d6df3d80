import { expect, test } from "vitest";
import { expectClose } from "../../test/closeness.ts";
import { exact, read } from "../../test/exact.ts";
import type { Backend } from "../backend/kernels.ts";
import type { Renewal } from "../backend/passes.ts";
import { openReference } from "../backend/reference/index.ts";
import type { RotaryScaling } from "./rotary-table.ts";
import { RotaryTable } from "./rotary-table.ts";

const float32 = { absolute: 1e-6, relative: 0 };

/** Angle step of each pair, in radians, from what the table says of position 1. */
async function steps(base: number, scaling: RotaryScaling | null): Promise<number[]> {
  const { cos, sin } = new RotaryTable(exact, 8, { base, turned: 8, scaling }).angles(2, null);
  const [c, s] = [await read(cos), await read(sin)];
  return s.slice(4, 8).map((sine, i) => Math.atan2(sine, c[4 + i] ?? Number.NaN));
}

test("pair i turns by base^(−2i / headDim) a position", async () => {
  expectClose(await steps(10_000, null), [1, 0.1, 0.01, 0.001], float32);
});

test("linear scaling slows all pairs alike", async () => {
  expectClose(await steps(10_000, { kind: "linear", factor: 4 }), [0.25, 0.025, 0.0025, 0.00025], float32);
});

test("Llama 3's scaling slows only pairs that turn rarely, with a ramp between", async () => {
  const scaling = { factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 200 };
  // Turns in 200 positions: 31.8 (kept), 3.18 (73 % kept), 0.318 and 0.0318 (slowed).
  const kept = (200 * 0.1) / (2 * Math.PI) / 3 - 1 / 3;
  const ramp = 0.1 * (kept + (1 - kept) / 8);
  expectClose(await steps(10_000, { kind: "llama3", ...scaling }), [1, ramp, 0.01 / 8, 0.001 / 8], float32);
});

test("grows to the positions asked for", async () => {
  const table = new RotaryTable(exact, 2, { base: 10_000, turned: 2, scaling: null });
  const far = table.angles(1, Int32Array.of(0, 999));
  expect(far.cos.axis(0)).toBeGreaterThanOrEqual(1000);
  expect((await read(far.cos))[999]).toBeCloseTo(Math.cos(999), 6);
  expect(table.angles(100, null).positions).toBeNull();
});

test("a pass that was captured is not made again once its table was replaced by a longer one", () => {
  const renewals: Renewal[] = [];
  const backend: Backend = {
    ...openReference(),
    passes: { capture: () => null, write: (_storage, _offset, _values, renew) => void renewals.push(renew) },
  };
  const table = new RotaryTable(backend, 4, { base: 1e4, turned: 4, scaling: null });
  const later = Int32Array.of(6);
  table.angles(1, Int32Array.of(5), () => later);
  expect(renewals[0]?.()).toEqual(later);
  table.angles(1, Int32Array.of(200)); // longer than the first
  expect(renewals[0]?.()).toBeNull();
  table.angles(1, Int32Array.of(5), () => later);
  expect(renewals[1]?.()).toEqual(later);
});
