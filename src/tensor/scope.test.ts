import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { exact, ids, read, tensor } from "../../test/exact.ts";
import type { Backend } from "../backend/kernels.ts";
import { StemmaError } from "../core/errors.ts";
import { keep, release, tensorScope } from "./scope.ts";
import { Tensor } from "./tensor.ts";

const x = tensor([1, 2, 3]);
const givenBack = /its memory \(3 × float32\) was given back/;

describe("tensorScope", () => {
  test("gives back what its body made, and nothing else", async () => {
    let inside: Tensor | undefined;
    const result = tensorScope(() => {
      inside = x.mul(2);
      return inside.add(1);
    });
    await expect(inside?.read()).rejects.toThrow(givenBack);
    expect(await read(result)).toEqual([3, 5, 7]);
    expect(await read(x)).toEqual([1, 2, 3]);
  });

  test("says what to do about a tensor used too late", async () => {
    const late = tensorScope(() => ({ late: () => made, made: x.mul(2), hidden: [x.mul(3)] }));
    const made = late.made;
    made.release();
    expect(() => made.add(1)).toThrow(StemmaError);
    expect(() => made.add(1)).toThrow(/return it from the scope, or call keep\(\) on it/);
  });

  test("lets out tensors in arrays, objects and maps, at any depth, and views of them", async () => {
    const out = tensorScope(() => ({
      list: [x.mul(2), [x.mul(3)]] as const,
      map: new Map([["a", x.mul(4)]]),
      view: x.mul(5).reshape([3, 1]),
      nothing: null,
      number: 7,
    }));
    expect(await read(out.list[0])).toEqual([2, 4, 6]);
    expect(await read(out.list[1][0])).toEqual([3, 6, 9]);
    expect(await read(out.map.get("a") ?? null)).toEqual([4, 8, 12]);
    expect(await read(out.view)).toEqual([5, 10, 15]);
    expect(out.number).toBe(7);
  });

  test("nests: what an inner scope lets out belongs to the outer one", async () => {
    let inner: Tensor | undefined;
    const outer = tensorScope(() => {
      inner = tensorScope(() => x.mul(2));
      return inner.add(0);
    });
    expect(await read(outer)).toEqual([2, 4, 6]);
    await expect(inner?.read()).rejects.toThrow(givenBack);
  });

  test("keeps what is kept, also from a scope within that in which it was made", async () => {
    const kept: Tensor[] = [];
    tensorScope(() => {
      const made = x.mul(2);
      kept.push(x.mul(3).keep());
      tensorScope(() => kept.push(made.keep(), x.mul(4)));
    });
    expect(await read(kept[0] ?? null)).toEqual([3, 6, 9]);
    expect(await read(kept[1] ?? null)).toEqual([2, 4, 6]);
    await expect(kept[2]?.read()).rejects.toThrow(givenBack);
  });

  test("gives memory back when its body throws, and restores the outer scope", async () => {
    let inside: Tensor | undefined;
    const attempt = (): Tensor =>
      tensorScope(() => {
        inside = x.mul(2);
        throw new Error("stop");
      });
    expect(attempt).toThrow("stop");
    await expect(inside?.read()).rejects.toThrow(givenBack);
    expect(await read(x.mul(2))).toEqual([2, 4, 6]);
  });

  test("refuses an async body, which would mix with other tasks", async () => {
    let inside: Tensor | undefined;
    const attempt = (): Promise<Tensor> =>
      tensorScope(async () => {
        inside = x.mul(2);
        return inside;
      });
    expect(attempt).toThrow("tensorScope: the body is async; read values after the scope ends");
    await expect(inside?.read()).rejects.toThrow(givenBack);
  });
});

describe("release", () => {
  test("twice is harmless, inside a scope or after it", async () => {
    const made = tensorScope(() => {
      const early = x.mul(2);
      early.release();
      early.release();
      return x.mul(3);
    });
    made.release();
    made.release();
    await expect(made.read()).rejects.toThrow(givenBack);
  });

  test("a storage is given back exactly once, whoever does it", () => {
    const { backend, releases } = counting();
    tensorScope(() => {
      const early = Tensor.full(backend, [2], 1);
      tensorScope(() => early.release());
      Tensor.full(backend, [2], 1).keep().release();
      Tensor.full(backend, [2], 1);
    });
    expect([...releases.values()]).toEqual([1, 1, 1]);
  });
});

describe("abandoned tensors", () => {
  test("are given back when JavaScript collects them", async () => {
    const { backend, finalized } = counting();
    const held = Tensor.full(backend, [3], 1);
    (() => {
      for (let i = 0; i < 10; i++) Tensor.full(backend, [3], i);
      tensorScope(() => Tensor.full(backend, [3], 1).keep());
      tensorScope(() => Tensor.full(backend, [3], 1));
      Tensor.full(backend, [3], 1).release();
    })();
    for (let round = 0; round < 20 && finalized() < 12; round++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      collectGarbage();
    }
    expect(finalized()).toBe(12);
    expect(held.shape).toEqual([3]);
  });
});

/** The collector, which a context made after the flag is set has as a global. */
function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}

/** The exact reference, counting how often each storage is given back and how many finalizers have run. */
function counting(): { backend: Backend; releases: Map<object, number>; finalized: () => number } {
  const releases = new Map<object, number>();
  let count = 0;
  const backend: Backend = {
    ...exact,
    release(storage) {
      releases.set(storage, (releases.get(storage) ?? 0) + 1);
      exact.release(storage);
    },
    finalizer: () => () => {
      count += 1;
    },
  };
  return { backend, releases, finalized: () => count };
}

test("keep and release work on storages", async () => {
  const list = ids([1, 2]);
  keep(exact, list.storage);
  release(exact, list.storage);
  await expect(list.read()).rejects.toThrow(/2 × int32/);
});
