import { expect, test } from "vitest";
import { expectClose } from "../../../test/closeness.ts";
import { generalizedAdvantages, whiten } from "./advantages.ts";

const loose = { absolute: 1e-6, relative: 0 };

test("advantages of three tokens, by hand", () => {
  const { advantages, returns } = generalizedAdvantages([0, 0, 1], [0.5, 0.25, 0.5], { gamma: 1, lambda: 0.5 });
  // δ = −0.25, 0.25, 0.5
  expectClose(advantages, [-0.25 + 0.5 * (0.25 + 0.5 * 0.5), 0.25 + 0.5 * 0.5, 0.5], loose);
  expectClose(returns, [0.5, 0.75, 1], loose);
});

test("with λ = 1 the return is the discounted sum of rewards; with λ = 0 one step ahead", () => {
  const [rewards, values] = [
    [1, 2, 3],
    [9, 8, 7],
  ] as const;
  const whole = generalizedAdvantages(rewards, values, { gamma: 0.5, lambda: 1 });
  expectClose(whole.returns, [1 + 1 + 0.75, 2 + 1.5, 3], loose);
  const one = generalizedAdvantages(rewards, values, { gamma: 0.5, lambda: 0 });
  expectClose(one.returns, [1 + 4, 2 + 3.5, 3], loose);
});

test("whitening is over all sequences together, and may keep the mean", () => {
  const sequences = [Float32Array.of(1, 2), Float32Array.of(3)];
  expectClose(
    whiten(sequences).flatMap((part) => [...part]),
    [-1, 0, 1],
    loose,
  );
  expectClose(
    whiten(sequences, true).flatMap((part) => [...part]),
    [1, 2, 3],
    loose,
  );
  expect([...(whiten([Float32Array.of(5)])[0] ?? [])]).toEqual([0]);
});
