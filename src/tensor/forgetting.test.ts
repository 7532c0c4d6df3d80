import { expect, test } from "vitest";
import { expectClose } from "../../test/closeness.ts";
import { leaf, randomTensor, read } from "../../test/exact.ts";
import { functionGradientGap } from "./check-op.ts";
import { forgetting } from "./forgetting.ts";
import { apply } from "./op.ts";
import { selfAttention } from "./ops/attention.ts";
import { linear } from "./ops/matmul.ts";
import { tensorScope } from "./scope.ts";
import type { Tensor } from "./tensor.ts";

const weight = randomTensor([4, 4], 2);
const packed = randomTensor([12, 4], 3);
const mask = { causal: true };

/** Ops that keep something beside their output, views, and one whose gradient looks at its output. */
function block(x: Tensor): Tensor {
  const qkv = apply(linear, [x.map("tanh"), packed, null, null], { activation: null });
  const rule = { heads: 2, keyValueHeads: 2, scale: 0.7, mask, dropout: null };
  const mixed = apply(selfAttention, [qkv.reshape([1, 3, 12]), null], rule).reshape([3, 4]);
  const inner = apply(linear, [mixed, weight, null, null], { activation: "gelu" });
  return apply(linear, [inner.softmax(), weight, null, x], { activation: null });
}

test("the gradients of what was forgotten, one block inside and one after the other", async () => {
  const x = randomTensor([3, 4]);
  const twice = (): Tensor => forgetting(() => forgetting(() => block(forgetting(() => block(x)))).mul(x));
  expect(await functionGradientGap(twice, [x, weight, packed])).toBeLessThan(1e-8);
});

test("the same bits as without", async () => {
  const gradients = async (run: (body: () => Tensor) => Tensor): Promise<readonly number[][]> => {
    const [x, w] = [leaf(randomTensor([3, 4])), leaf(weight.copy())];
    run(() => block(x.mul(2)).matmul(w))
      .sum()
      .backward();
    return [[...(await read(x.grad))], [...(await read(w.grad))]];
  };
  expect(await gradients(forgetting)).toEqual(await gradients((body) => body()));
});

test("nothing but the result is there until the backward pass, which computes no more than gradients ask for", async () => {
  const x = leaf(randomTensor([2, 2]));
  const made: Tensor[] = [];
  const loss = tensorScope(() =>
    forgetting(() => {
      made.push(x.map("exp"));
      made.push(made[0]!.map("square"));
      return made[1]!.add(x);
    }).sum(),
  );
  await expect(made[0]?.read()).rejects.toThrow(/given back/);
  await expect(made[1]?.read()).rejects.toThrow(/given back/);
  loss.backward();
  await expect(made[0]?.read()).rejects.toThrow(/given back/);
  expectClose(
    await read(x.grad),
    (await read(x)).map((value) => 2 * Math.exp(2 * value) + 1),
  );
});
