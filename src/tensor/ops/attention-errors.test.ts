import { expect, test } from "vitest";
import { randomTensor } from "../../../test/exact.ts";
import { ShapeError } from "../../core/errors.ts";
import { apply } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import type { AttentionAttrs } from "./attention.ts";
import { attention, selfAttention } from "./attention.ts";
import type { AttentionMask } from "./attention-mask.ts";

const attrs = (mask: AttentionMask, more: Partial<AttentionAttrs> = {}): AttentionAttrs => ({
  ...{ heads: 2, keyValueHeads: 2, scale: 1, mask, dropout: null },
  ...more,
});

test.each([
  [[2, 3, 13], {}, "selfAttention: [2, 3, 13] is not [batch, time, width] for 2 query heads and 2 key-value heads"],
  [[3, 12], {}, "selfAttention: [3, 12] is not [batch, time, width] for 2 query heads and 2 key-value heads"],
  [[2, 3, 12], { heads: 4, keyValueHeads: 3 }, /4 query heads and 3 key-value heads/],
])("packed %j", (shape, more, message) => {
  const attempt = (): Tensor => apply(selfAttention, [randomTensor(shape), null], attrs({ causal: true }, more));
  expect(attempt).toThrow(ShapeError);
  expect(attempt).toThrow(message);
});

const fits = [
  [2, 3, 8],
  [2, 5, 8],
  [2, 5, 8],
  [2, 3, 5],
] as const;
test.each<[string, readonly (readonly number[])[]]>([
  [
    "batches",
    [
      [2, 3, 8],
      [1, 5, 8],
      [1, 5, 8],
      [2, 3, 5],
    ],
  ],
  [
    "widths",
    [
      [2, 3, 8],
      [2, 5, 6],
      [2, 5, 6],
      [2, 3, 5],
    ],
  ],
  [
    "lengths of key and value",
    [
      [2, 3, 8],
      [2, 5, 8],
      [2, 4, 8],
      [2, 3, 5],
    ],
  ],
  [
    "the bias",
    [
      [2, 3, 8],
      [2, 5, 8],
      [2, 5, 8],
      [2, 5, 3],
    ],
  ],
  [
    "heads that do not divide the width",
    [
      [2, 3, 7],
      [2, 5, 7],
      [2, 5, 7],
      [2, 3, 5],
    ],
  ],
  [
    "axes",
    [
      [3, 8],
      [3, 8],
      [3, 8],
      [2, 3, 5],
    ],
  ],
])("%s do not fit", (_, shapes) => {
  const operands = (list: readonly (readonly number[])[]) =>
    list.map((s) => randomTensor(s)) as [Tensor, Tensor, Tensor, Tensor];
  expect(() => apply(attention, operands(fits), attrs({ causal: false }))).not.toThrow();
  expect(() => apply(attention, operands(shapes), attrs({ causal: false }))).toThrow(ShapeError);
});

test("a bias of another size", () => {
  const attempt = (): Tensor =>
    apply(selfAttention, [randomTensor([2, 3, 12]), randomTensor([3, 3])], attrs({ causal: true }));
  expect(attempt).toThrow(ShapeError);
});

test.each(["queryStarts", "prefixLengths", "keyLengths", "firstKeys"])("%s of another length", (name) => {
  const mask: AttentionMask = { causal: true, [name]: Int32Array.of(1, 2, 3) };
  expect(() => apply(selfAttention, [randomTensor([2, 3, 12]), null], attrs(mask))).toThrow(ShapeError);
});
