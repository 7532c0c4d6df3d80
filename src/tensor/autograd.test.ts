import { describe, expect, test } from "vitest";
import { expectClose } from "../../test/closeness.ts";
import { exact, ids, leaf, randomTensor, read, tensor } from "../../test/exact.ts";
import { openReference } from "../backend/reference/index.ts";
import { ShapeError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { backwardFrom } from "./autograd.ts";
import { functionGradientGap } from "./check-op.ts";
import { apply, withGradients, withoutGradients } from "./op.ts";
import { selfAttention } from "./ops/attention.ts";
import { linearCrossEntropy } from "./ops/cross-entropy.ts";
import { linear } from "./ops/matmul.ts";
import { layerNorm } from "./ops/norm.ts";
import { tensorScope } from "./scope.ts";
import { Tensor } from "./tensor.ts";

const givenBack = /was given back/;

describe("one tensor in several places", () => {
  const x = tensor([1, -2, 3]);
  test.each<[string, (x: Tensor) => Tensor]>([
    ["x · x", (x) => x.mul(x)],
    ["x + x", (x) => x.add(x)],
    ["x − x", (x) => x.sub(x)],
    ["x + x + x", (x) => x.add(x).add(x)],
    ["(x + x) · x", (x) => x.add(x).mul(x)],
    ["x / x²", (x) => x.div(x.map("square"))],
    ["a diamond", (x) => x.exp().add(x.map("sin")).mul(x.exp())],
    ["a diamond of one intermediate", (x) => diamond(x.map("tanh"))],
    ["nested diamonds", (x) => diamond(diamond(x.mul(0.1)))],
    [
      "through reshapes",
      (x) =>
        x
          .reshape([3, 1])
          .mul(x.reshape([1, 3]))
          .reshape([9])
          .mul(x.reshape([3, 1]).sum()),
    ],
    [
      "reshape + reshape of the same memory",
      (x) =>
        x
          .reshape([3, 1])
          .reshape([3])
          .add(x.reshape([1, 3]).reshape([3])),
    ],
    ["an intermediate handed on untouched to two", (x) => sumTwice(x.mul(2))],
    ["broadcast against itself", (x) => x.reshape([3, 1]).add(x)],
  ])("%s", async (_, body) => {
    expect(await functionGradientGap(() => body(x), [x])).toBeLessThan(1e-8);
  });
});

describe("leaves", () => {
  test("add the gradients of several passes", async () => {
    const x = leaf(tensor([1, 2]));
    x.map("square").sum().backward();
    const first = x.grad;
    x.mul(10).sum().backward();
    expect(await read(x.grad)).toEqual([12, 14]);
    expect(x.grad).toBe(first);
  });

  test("keep their values and their gradient after the scope", async () => {
    const x = leaf(tensor([1, 2]));
    tensorScope(() => x.add(x).sum().backward());
    expect([await read(x), await read(x.grad)]).toEqual([
      [1, 2],
      [2, 2],
    ]);
  });

  test("two leaves never share the memory of a gradient", async () => {
    const [a, b] = [leaf(tensor([1])), leaf(tensor([2]))];
    a.add(b).sum().backward();
    exact.kernels.affine(a.grad as Tensor, 5, 0, a.grad as Tensor);
    expect([await read(a.grad), await read(b.grad)]).toEqual([[5], [1]]);
  });

  test("that are frozen get none, nor does what hangs on them alone", async () => {
    const [x, frozen] = [leaf(tensor([1, 2])), tensor([3, 4])];
    const constant = frozen.mul(2);
    x.mul(constant).sum().backward();
    expect(constant.requiresGrad).toBe(false);
    expect([frozen.grad, constant.grad]).toEqual([null, null]);
    expect(await read(x.grad)).toEqual([6, 8]);
  });

  test("used through a reshape keep the values that the reshape shares", async () => {
    const x = leaf(tensor([1, 2, 3, 4]));
    x.reshape([2, 2]).map("square").sum().backward();
    expect([await read(x), await read(x.grad)]).toEqual([
      [1, 2, 3, 4],
      [2, 4, 6, 8],
    ]);
  });

  test("that are tied serve as table and as output layer", async () => {
    const table = randomTensor([5, 3]);
    const [tokens, targets] = [ids([0, 3, 3, -1]), ids([3, 1, -1, 4])];
    const body = (): Tensor =>
      apply(linearCrossEntropy, [table.gatherRows(tokens).map("tanh"), table], { targets, scale: 0.25 });
    expect(await functionGradientGap(body, [table])).toBeLessThan(1e-8);
  });
});

describe("memory", () => {
  test("activations are given back during the pass; root, leaves and data stay", async () => {
    const [x, data] = [leaf(tensor([1, 2])), tensor([3, 4])];
    const hidden = x.mul(data);
    const view = hidden.reshape([2, 1]);
    const loss = view.map("square").sum();
    loss.backward();
    await expect(hidden.read()).rejects.toThrow(givenBack);
    await expect(view.read()).rejects.toThrow(givenBack);
    expect([await read(loss), await read(x), await read(data)]).toEqual([[73], [1, 2], [3, 4]]);
  });

  test("a kept activation stays, also when kept through a view", async () => {
    const x = leaf(tensor([1, 2]));
    const [a, b] = [x.mul(2).keep(), x.mul(3)];
    b.reshape([2, 1]).keep();
    a.mul(b).sum().backward();
    expect([await read(a), await read(b)]).toEqual([
      [2, 4],
      [3, 6],
    ]);
  });

  test("a root that shares its memory with an activation stays readable", async () => {
    const x = leaf(tensor([3], [1]));
    const loss = x.map("square").reshape([]);
    loss.backward();
    expect([await read(loss), await read(x.grad)]).toEqual([[9], [6]]);
  });

  test("a detached activation that another branch uses is data there", async () => {
    const x = leaf(tensor([1, 2]));
    const y = x.map("exp");
    const stopped = y.detach();
    y.mul(stopped).sum().backward();
    expectClose(await read(x.grad), [Math.E ** 2, Math.E ** 4], { absolute: 0, relative: 1e-12 });
    expectClose(await read(stopped), [Math.E, Math.E ** 2]);
  });

  test("a whole training step leaves no more storages than its gradients", () => {
    const live = new Set<object>();
    const backend = {
      ...exact,
      allocate: (...[dtype, length]: Parameters<typeof exact.allocate>) => {
        const storage = exact.allocate(dtype, length);
        live.add(storage);
        return storage;
      },
      release: (storage: Parameters<typeof exact.release>[0]) => {
        live.delete(storage);
        exact.release(storage);
      },
    };
    const made = (shape: number[], seed: number): Tensor => leaf(randomTensor(shape, seed, backend)).keep();
    const [embedding, norm, bias] = [made([7, 4], 1), made([4], 2), made([4], 3)];
    const [qkv, projection] = [made([12, 4], 4), made([4, 4], 5)];
    const parameters = [embedding, norm, bias, qkv, projection];
    const before = live.size;
    tensorScope(() => {
      const tokens = Tensor.from(backend, Int32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
      const x = embedding.gatherRows(tokens);
      const normed = apply(layerNorm, [x, norm, bias], { epsilon: 1e-5 });
      const packed = apply(linear, [normed, qkv, null, null], { activation: null });
      const attrs = { heads: 2, keyValueHeads: 2, scale: 1, mask: { causal: true }, dropout: null };
      const mixed = apply(selfAttention, [packed, null], attrs);
      const y = apply(linear, [mixed, projection, null, x], { activation: null });
      const targets = tokens.reshape([6]);
      apply(linearCrossEntropy, [y.reshape([6, 4]), embedding], { targets, scale: 1 / 6 }).backward();
    });
    expect(live.size - before).toBe(parameters.length);
    expect(parameters.map(({ grad }) => live.has(grad?.storage as object))).toEqual(parameters.map(() => true));
  });
});

describe("the tape", () => {
  test("is not recorded without gradients, and is again within withGradients", () => {
    const x = leaf(tensor([1]));
    withoutGradients(() => {
      expect(x.mul(2).requiresGrad).toBe(false);
      expect(x.reshape([1, 1]).node).toBeNull();
      expect(withGradients(() => x.mul(2)).requiresGrad).toBe(true);
    });
    expect(() =>
      withoutGradients(() => {
        throw new Error("stop");
      }),
    ).toThrow("stop");
    expect(x.mul(2).requiresGrad).toBe(true);
  });

  test("needs a root of one element that depends on a leaf", () => {
    expect(() =>
      leaf(tensor([1, 2]))
        .mul(2)
        .backward(),
    ).toThrow(new ShapeError("backward: the root must have 1 element, got [2]"));
    expect(() => tensor([1]).mul(2).backward()).toThrow(
      new ShapeError("backward: nothing that the root depends on requires a gradient"),
    );
  });

  test("can be walked once: a second pass over any of it is refused, not cut short", () => {
    const x = leaf(tensor([1, 2]));
    const hidden = x.mul(2).keep();
    const [first, second] = [hidden.sum(), hidden.map("square").sum()];
    first.backward();
    expect(() => second.backward()).toThrow(/an earlier backward went through a tensor \[2\]/);
    expect(() => first.backward()).toThrow(ShapeError);
    expect(() =>
      hidden
        .detach()
        .mul(leaf(tensor([1, 1])))
        .sum()
        .backward(),
    ).not.toThrow();
  });

  test("may start from any gradient of its root", async () => {
    const x = leaf(tensor([1, 2, 3]));
    const y = x.map("square");
    backwardFrom(y, tensor([1, 0, -1]));
    expect(await read(x.grad)).toEqual([2, 0, -6]);
  });
});

test("a Transformer block, fused and composed, has the gradients of finite differences", async () => {
  for (const fused of [true, false]) {
    const backend = openReference({ precision: "float64", fused });
    const made = (shape: number[], seed: number): Tensor => randomTensor(shape, seed, backend).mul(0.5);
    const [x, gain, bias] = [made([1, 3, 4], 1), made([4], 2), made([4], 3)];
    const [qkv, out, up, down] = [made([12, 4], 4), made([4, 4], 5), made([6, 4], 6), made([4, 6], 7)];
    const attrs = {
      ...{ heads: 2, keyValueHeads: 2, scale: 0.7, mask: { causal: true } },
      dropout: { rate: 0.2, draw: new Random(1).draw() },
    };
    const body = (): Tensor => {
      const norm = (t: Tensor): Tensor => apply(layerNorm, [t, gain, bias], { epsilon: 1e-5 });
      const packed = apply(linear, [norm(x), qkv, null, null], { activation: null });
      const attended = apply(linear, [apply(selfAttention, [packed, null], attrs), out, bias, x], { activation: null });
      const hidden = apply(linear, [norm(attended), up, null, null], { activation: "geluTanh" });
      return apply(linear, [hidden, down, bias, attended], { activation: null });
    };
    expect(await functionGradientGap(body, [x, gain, bias, qkv, out, up, down])).toBeLessThan(1e-7);
  }
});

function diamond(y: Tensor): Tensor {
  return y.mul(3).add(y.map("square")).sub(y);
}

function sumTwice(y: Tensor): Tensor {
  return y.add(y.reshape([1, 3]).reshape([3])).add(y);
}
