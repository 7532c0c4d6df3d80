import { expect, test } from "vitest";
import type { NativeBackend } from "../../src/backend/native/index.ts";
import { openNative } from "../../src/backend/native/index.ts";
import { DataError, StemmaError } from "../../src/core/errors.ts";
import { tensorScope } from "../../src/tensor/scope.ts";
import { Tensor } from "../../src/tensor/tensor.ts";

const table = (backend: NativeBackend): Tensor => Tensor.from(backend, [1, 2, 3, 4, 5, 6], [3, 2]).keep();

function open(): { backend: NativeBackend; passes: NonNullable<NativeBackend["passes"]> } {
  const { backend } = openNative();
  if (!backend?.passes) throw new Error("the native backend is not built");
  return { backend, passes: backend.passes };
}

/** Rows of a table, doubled twice, by ids that are others in each pass. */
function captured(next: { ids: Int32Array | null }) {
  const { backend, passes } = open();
  const rows = table(backend);
  const results: Tensor[] = [];
  const pass = passes.capture(() => {
    const made = tensorScope(() => {
      const ids = Tensor.given(backend, next.ids ?? new Int32Array(2), [2], () => next.ids);
      return rows.gatherRows(ids).mul(2).mul(2);
    });
    results.push(made);
  });
  if (!pass || !results[0]) throw new Error("the pass was not captured");
  return { backend, rows, pass, result: results[0] };
}

test("a pass made again computes the same of other integers", async () => {
  const next: { ids: Int32Array | null } = { ids: Int32Array.of(0, 2) };
  const { pass, result, rows } = captured(next);
  expect([...(await result.read())]).toEqual([4, 8, 20, 24]);
  next.ids = Int32Array.of(1, 1);
  expect(pass.replay()).toBe(true);
  expect([...(await result.read())]).toEqual([12, 16, 12, 16]);
  rows.write(Float32Array.of(0, 0, 10, 20, 0, 0));
  expect(pass.replay()).toBe(true);
  expect([...(await result.read())]).toEqual([40, 80, 40, 80]);
  pass.release();
});

test("a pass whose integers cannot be renewed is not made again", async () => {
  const next: { ids: Int32Array | null } = { ids: Int32Array.of(0, 2) };
  const { pass, result } = captured(next);
  for (const other of [null, Int32Array.of(1), Int32Array.of(1, 1, 1)]) {
    next.ids = other;
    expect(pass.replay()).toBe(false);
  }
  expect([...(await result.read())]).toEqual([4, 8, 20, 24]);
  pass.release();
});

test("what goes wrong in a pass made again is said as in any other", () => {
  const next: { ids: Int32Array | null } = { ids: Int32Array.of(0, 2) };
  const { pass, rows } = captured(next);
  next.ids = Int32Array.of(0, 3);
  expect(() => pass.replay()).toThrow(DataError);
  rows.release();
  expect(() => pass.replay()).toThrow(
    new StemmaError(
      "gatherRows: an operand's memory was given back, by the end of its scope, by backward passing it, or by release(); return it from the scope, or call keep() on it, to use it afterwards",
    ),
  );
  pass.release();
});

test("a pass gives its memory back when it is released, and holds no more than one pass needs", () => {
  const { backend, pass, rows, result } = captured({ ids: Int32Array.of(0, 2) });
  const before = backend.machine.memory().inUse;
  pass.release();
  // The ids, the rows and the first product, 64 bytes each.
  expect(before - backend.machine.memory().inUse).toBe(192);
  for (const tensor of [rows, result]) tensor.release();
});

test.each([
  ["writes numbers", (backend: NativeBackend) => Tensor.from(backend, [1, 2], [2])],
  ["fills in ids of its own", (backend: NativeBackend) => Tensor.from(backend, Int32Array.of(1), [1])],
  ["reads", (backend: NativeBackend) => void backend.read(table(backend).storage, 0, 1)],
  ["holds another pass", (_: NativeBackend, passes: NonNullable<NativeBackend["passes"]>) => passes.capture(() => {})],
])("a pass that %s is made, but not captured", async (_name, act) => {
  const { backend, passes } = open();
  const rows = table(backend);
  const { inUse } = backend.machine.memory();
  const results: Tensor[] = [];
  const pass = passes.capture(() => {
    tensorScope(() => {
      const first = rows.mul(3);
      first.release();
      act(backend, passes);
      results.push(rows.mul(2).mul(2).keep());
    });
  });
  expect(pass).toBeNull();
  expect([...(await results[0]!.read())]).toEqual([4, 8, 12, 16, 20, 24]);
  results[0]!.release();
  expect(backend.machine.memory().inUse - inUse).toBeLessThanOrEqual(64);
});

test("a pass that fails is not captured, and its memory is given back", () => {
  const { backend, passes } = open();
  const rows = table(backend);
  const { inUse } = backend.machine.memory();
  const fail = (): void => {
    passes.capture(() =>
      tensorScope(() => {
        rows.mul(2).release();
        rows.mul(3);
        throw new Error("on purpose");
      }),
    );
  };
  expect(fail).toThrow("on purpose");
  expect(backend.machine.memory().inUse).toBe(inUse);
});

test("memory that was given back twice is not handed out twice", async () => {
  const { backend, passes } = open();
  const rows = table(backend);
  const results: Tensor[] = [];
  const pass = passes.capture(() => {
    const first = rows.mul(2);
    first.release();
    first.release();
    results.push(rows.mul(3), rows.mul(5));
  });
  expect(pass?.replay()).toBe(true);
  expect([...(await results[0]!.read())]).toEqual([3, 6, 9, 12, 15, 18]);
  expect([...(await results[1]!.read())]).toEqual([5, 10, 15, 20, 25, 30]);
  pass?.release();
});

test("memory that a pass took is the pass's, however often it is given back", async () => {
  const { backend, passes } = open();
  const rows = table(backend);
  const made: Tensor[] = [];
  const pass = passes.capture(() => {
    const first = rows.mul(2);
    first.release();
    made.push(first, rows.mul(3)); // in the same memory
  });
  const [first, second] = made as [Tensor, Tensor];
  first.release();
  expect([...(await second.read())]).toEqual([3, 6, 9, 12, 15, 18]);
  expect(pass?.replay()).toBe(true);
  pass?.release();
});
