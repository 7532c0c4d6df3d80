import { expect, test } from "vitest";
import { expectClose } from "../../test/closeness.ts";
import { exact, leaf, randomTensor, read, tensor } from "../../test/exact.ts";
import { ShapeError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { functionGradientGap } from "../tensor/check-op.ts";
import { Initializer, parameters } from "./parameters.ts";
import { bestChoices, expertLoad, RoutedExperts, routerZLoss } from "./routed-experts.ts";

const options = { width: 3, hidden: 2, experts: 4, chosen: 2, activation: "silu", standardDeviation: 1 } as const;
const layer = new RoutedExperts(options, new Initializer(exact, new Random(1)));

test("each token gets the weighted outputs of its best experts, and none is dropped", async () => {
  const x = randomTensor([2, 3, 3], 5);
  const { mixture, routerLogits } = layer.forward(x);
  expect(mixture.shape).toEqual(x.shape);
  const logits = await read(routerLogits);
  const rows = await read(x);
  const outputs = await Promise.all([0, 1, 2, 3].map((expert) => outputsOf(expert, rows)));
  const expected = Array.from({ length: 6 }, (_, row) => {
    const own = logits.slice(4 * row, 4 * row + 4);
    const best = [...own.keys()].sort((a, b) => (own[b] ?? 0) - (own[a] ?? 0)).slice(0, 2);
    const total = best.reduce((sum, e) => sum + Math.exp(own[e] ?? 0), 0);
    return [0, 1, 2].map((i) =>
      best.reduce((sum, e) => sum + (Math.exp(own[e] ?? 0) / total) * (outputs[e]?.[3 * row + i] ?? 0), 0),
    );
  });
  expectClose(await read(mixture), expected.flat());
});

/** What one expert makes of every row. */
async function outputsOf(expert: number, rows: readonly number[]): Promise<number[]> {
  const [gateAndValue, projection] = [await read(layer.gateAndValue), await read(layer.projection)];
  const product = (weights: readonly number[], start: number, row: readonly number[]): number =>
    row.reduce((sum, value, i) => sum + value * (weights[start + i] ?? 0), 0);
  return Array.from({ length: rows.length / 3 }, (_, r) => {
    const row = rows.slice(3 * r, 3 * r + 3);
    const units = [0, 1].map((unit) => {
      const gate = product(gateAndValue, (expert * 4 + unit) * 3, row);
      return (gate / (1 + Math.exp(-gate))) * product(gateAndValue, (expert * 4 + 2 + unit) * 3, row);
    });
    return [0, 1, 2].map((i) => product(projection, (expert * 3 + i) * 2, units));
  }).flat();
}

test("gradients of the input, the router and the experts", async () => {
  const x = randomTensor([5, 3], 7);
  const body = () => layer.forward(x).mixture;
  expect(await functionGradientGap(body, [x, ...parameters(layer).values()])).toBeLessThan(1e-8);
});

test("the best experts, the first of equals first", async () => {
  const choices = bestChoices(tensor([1, 3, 2, 3, 5, 5, 5, 5], [2, 4]), 3);
  expect(await Promise.all(choices.map(read))).toEqual([
    [1, 0],
    [3, 1],
    [2, 2],
  ]);
});

test("an even load costs the least, and one busy expert the most", async () => {
  const even = tensor([9, 0, 0, 9, 9, 0, 0, 9], [4, 2]);
  const { loss, largest } = expertLoad([even], 1);
  expectClose([await loss.item(), await largest.item()], [1, 1]);
  const busy = expertLoad([tensor([9, 0, 9, 0], [2, 2]), tensor([9, 0, 9, 0], [2, 2])], 1);
  expectClose([await busy.largest.item(), await busy.loss.item()], [2, 2 / (1 + Math.exp(-9))]);
  const both = expertLoad([even], 2);
  expectClose([await both.loss.item(), await both.largest.item()], [2, 1]);
});

test("gradients of the routers' losses", async () => {
  const logits = [randomTensor([4, 3], 1), randomTensor([4, 3], 2)];
  expect(await functionGradientGap(() => expertLoad(logits, 2).loss, logits)).toBeLessThan(1e-8);
  expect(await functionGradientGap(() => routerZLoss(leaf(logits[0] ?? tensor([]))), logits)).toBeLessThan(1e-8);
});

test("more experts than there are cannot be chosen", () => {
  const init = new Initializer(exact, null);
  expect(() => new RoutedExperts({ ...options, chosen: 5 }, init)).toThrow(ShapeError);
});
