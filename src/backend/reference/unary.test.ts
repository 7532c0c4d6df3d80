import { expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { erfc, unaryFunctions } from "./unary.ts";

// From the C library's erfc.
test.each([
  [-3, 1.9999779095030015],
  [-0.5, 1.5204998778130465],
  [0, 1.0],
  [1e-8, 0.9999999887162083],
  [0.1, 0.8875370839817152],
  [0.5, 0.4795001221869535],
  [1, 0.15729920705028513],
  [1.5, 0.033894853524689274],
  [1.99, 0.004888586800383003],
  [2, 0.004677734981047265],
  [2.01, 0.004475150644751763],
  [3, 2.2090496998585438e-5],
  [5, 1.5374597944280351e-12],
  [10, 2.088487583762545e-45],
  [26, 5.663192408856143e-296],
])("erfc(%d)", (x, y) => expectClose([erfc(x)], [y], { absolute: 0, relative: 1e-13 }));

test("erfc far out", () => {
  expect([erfc(Number.POSITIVE_INFINITY), erfc(Number.NEGATIVE_INFINITY), erfc(Number.NaN)]).toEqual([
    0,
    2,
    Number.NaN,
  ]);
});

test.each(Object.entries(unaryFunctions))("the slope of %s is that of its value", (kind, { value, slope }) => {
  const h = 1e-6;
  for (const x of [0.3, 0.7, 1.9, 3.5, ...(["log", "rsqrt", "sqrt"].includes(kind) ? [] : [-0.4, -1.2, -4.5])]) {
    expectClose([slope(x)], [(value(x + h) - value(x - h)) / (2 * h)], { absolute: 1e-9, relative: 1e-8 });
  }
});
