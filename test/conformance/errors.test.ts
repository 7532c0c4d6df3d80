import { describe, expect, test } from "vitest";
import { loadAddon } from "../../src/backend/native/addon.ts";
import { openReference } from "../../src/backend/reference/index.ts";
import type { View } from "../../src/backend/storage.ts";
import { DataError, StemmaError, UnsupportedError } from "../../src/core/errors.ts";
import { Random } from "../../src/core/random.ts";
import { native } from "./compare.ts";
import { Workspace } from "./workspace.ts";

const backend = native();
const { all: kernels } = backend;

describe("an operand that cannot be used", () => {
  const memory = new Workspace(backend);
  const [x, out] = [memory.normal([4, 6], 1), memory.blank([4, 6])];

  test("memory that was given back", () => {
    const storage = backend.allocate("float32", 24);
    const view = { storage, offset: 0, shape: [4, 6] };
    backend.release(storage);
    backend.release(storage);
    const message = /^softmax: an operand's memory was given back, .*; .*keep\(\)/;
    expect(() => kernels.softmax(view, out)).toThrow(message);
    expect(() => kernels.softmax(view, out)).toThrow(StemmaError);
    // Its place in memory may be another tensor's by now.
    backend.allocate("float32", 24);
    expect(() => kernels.softmax(x, view)).toThrow(message);
    expect(() => kernels.globalNorm([view], out)).toThrow(/^globalNorm: .* given back/);
  });

  test("memory of another backend", () => {
    const other = new Workspace(openReference()).normal([4, 6], 1);
    expect(() => kernels.softmax(other, out)).toThrow(/^tensor: it lives on another backend; /);
  });

  test("a view that ends behind its storage", () => {
    const long: View = { ...x, shape: [400, 6] };
    expect(() => kernels.softmax(long, out)).toThrow(/^softmax: x needs 2400 elements but its storage has \d+ from /);
    expect(() => kernels.fill({ ...out, offset: 1e9 }, 0)).toThrow(/^fill: offset 1000000000 is outside a storage of /);
    expect(() => kernels.fill({ ...out, offset: -1 }, 0)).toThrow(StemmaError);
    expect(() => kernels.fill({ ...out, shape: [2 ** 40, 2 ** 40] }, 0)).toThrow(StemmaError);
    expect(() => kernels.softmax({ ...x, shape: [2 ** 32, 2 ** 32] }, out)).toThrow(StemmaError);
  });

  test("a table of other weights than bfloat16", () => {
    const halves = memory.weights("float16", [4, 6], 1);
    expect(() => kernels.setRows(x, memory.ids([0, 1, 2, 3]), halves)).toThrow(UnsupportedError);
  });

  test("ids past the end, before anything is written", async () => {
    const ids = memory.ids([0, -1, 4, 1]);
    const message = "id 4 at place 2 is not below 4; check the vocabulary size";
    expect(() => kernels.gatherRows(x, ids, out)).toThrow(new DataError(`gatherRows: ${message}`));
    expect(() => kernels.scatterAddRows(out, ids, x)).toThrow(new DataError(`scatterAddRows: ${message}`));
    expect(() => kernels.setRows(out, ids, x)).toThrow(new DataError(`setRows: ${message}`));
    const narrow = { ...x, shape: [4, 4] };
    expect(() => kernels.pick(narrow, ids, memory.blank([4]))).toThrow(new DataError(`pick: ${message}`));
    expect(() => kernels.pickGrad(out, ids, narrow)).toThrow(new DataError(`pickGrad: ${message}`));
    const losses = memory.blank([4]);
    expect(() => kernels.crossEntropy(narrow, ids, losses, null, 1)).toThrow(new DataError(`crossEntropy: ${message}`));
    expect([...(await backend.read(out.storage, out.offset, 24))].every(Number.isNaN)).toBe(true);
  });
});

/** What a function of the addon may wrongly be given: not a number, not whole, not there, or far too large. */
const rubbish = [
  ...[-1, 0, 1, 2, 3, 7, 64, 1e9, 2 ** 40, 2 ** 52, 2 ** 53, 2 ** 80, -(2 ** 40)],
  ...[0.5, Number.NaN, Number.POSITIVE_INFINITY, "x", null, undefined, {}, new Float32Array(3)],
  ...[new Float64Array(30), new Float64Array(30).fill(Number.NaN), new Float64Array(30).fill(-3)],
];

/** Functions that take their time, or would free what the test needs. */
const left = new Set(["floatPeak", "bfloat16Peak", "readBandwidth", "release"]);

type Functions = Readonly<Record<string, (...numbers: unknown[]) => void>>;

/** Every function of the addon but those of {@link left}, and what draws what they are given. */
function addonToTry() {
  const addon = loadAddon();
  if ("reason" in addon) throw new Error(addon.reason);
  const functions = addon.open(2, "", StemmaError, DataError) as unknown as Functions;
  const handles = [16, 1000].map((length) => functions.allocate?.(length, 0));
  const reader = new Random(1).reader();
  const pick = <Item>(items: readonly Item[]): Item => items[reader.integer(items.length)]!;
  const tried = Object.entries(functions).filter(([name, call]) => typeof call === "function" && !left.has(name));
  return { tried, handles, reader, pick };
}

test("no call of the addon with wrong numbers brings the process down", () => {
  const { tried, handles, reader, pick } = addonToTry();
  let refused = 0;
  for (const [, call] of tried) {
    for (let i = 0; i < 300; i++) {
      const count = reader.integer(40);
      // Mostly handles with their offsets, as real calls have.
      const numbers = Array.from({ length: count }, (_, at) =>
        at < 8 && at % 2 === 0 ? pick(handles) : pick(rubbish),
      );
      try {
        call(...(i % 3 === 0 ? numbers.map(() => pick(rubbish)) : numbers));
      } catch (error) {
        refused += Number(error instanceof StemmaError);
      }
    }
  }
  expect(refused).toBeGreaterThan(5000);
});

/** Sizes whose products and sums leave 64 bits, and come out as 0 or as something small where they are not watched. */
const sizes = [0, 1, 2, 2 ** 31, 2 ** 32, 2 ** 33, 2 ** 52, 2 ** 53 - 1];

test("no sizes whose product is too large for a number bring the process down, or keep it busy", () => {
  const { tried, handles, pick } = addonToTry();
  const others = tried.filter(([name]) => name !== "allocate");
  const operands = (views: number) => Array.from({ length: views }, () => [pick(handles), 0]).flat();
  for (const [name, call] of others) {
    const kind = ["binary", "unary", "unaryGrad"].includes(name) ? [0] : [];
    for (let i = 0; i < 360; i++) {
      const drawn = Array.from({ length: 20 }, () => pick(sizes));
      tryCall(() => call(...kind, ...operands(1 + (i % 12)), ...drawn));
    }
  }
});

/** Makes a call that may be refused, in a line of ours. */
function tryCall(call: () => void): void {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(StemmaError);
  }
}

test("a cell of 2³² rows of 2³² units is refused, not taken for one of none", () => {
  const small = memoryOf(4);
  const large = { ...small, shape: [2 ** 32, 2 ** 32] };
  const cell = { gates: { ...small, shape: [2 ** 32, 2 ** 34] }, before: large, cells: large, hidden: large };
  expect(() => kernels.lstmCell(cell)).toThrow(/^lstmCell: gates needs \d{19} elements/);
});

function memoryOf(length: number): View {
  return { storage: backend.allocate("float32", length), offset: 0, shape: [length] };
}
