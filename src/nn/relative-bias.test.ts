import { expect, test } from "vitest";
import { exact, read } from "../../test/exact.ts";
import { Random } from "../core/random.ts";
import { Initializer } from "./parameters.ts";
import { RelativeBias, relativeBucket } from "./relative-bias.ts";

const both = { buckets: 32, maxDistance: 128, bidirectional: true };
const past = { ...both, bidirectional: false };

test("near keys have buckets of their own, far ones share", () => {
  const buckets = (distances: readonly number[], of: typeof both): number[] =>
    distances.map((distance) => relativeBucket(distance, of));
  expect(buckets([0, -1, -7, 1, 7], both)).toEqual([0, 1, 7, 17, 23]);
  // 8 + ⌊8 ln(d / 8) / ln 16⌋
  expect(buckets([-8, -11, -12, -15, -16, -64, -127, -128, -9999], both)).toEqual([8, 8, 9, 9, 10, 14, 15, 15, 15]);
  expect(buckets([8, 64, 9999], both)).toEqual([24, 30, 31]);
  expect(buckets([0, 1, 9999, -1, -15, -16, -128], past)).toEqual([0, 0, 0, 1, 15, 16, 31]);
});

test("bias of each head by distance, wherever the queries start", async () => {
  const bias = new RelativeBias(
    2,
    { buckets: 4, maxDistance: 3, bidirectional: false },
    1,
    new Initializer(exact, new Random(1)),
  );
  const table = await read(bias.table); // [bucket, head]
  const whole = await read(bias.forward(0, 4, 5));
  const at = (head: number, query: number, key: number): number | undefined => whole[(head * 4 + query) * 5 + key];
  expect(at(0, 0, 0)).toBe(table[0]);
  expect(at(1, 3, 3)).toBe(table[1]);
  expect(at(0, 1, 4)).toBe(table[0]);
  expect(at(1, 2, 1)).toBe(table[3]);
  expect(at(0, 3, 0)).toBe(table[6]);
  const rest = await read(bias.forward(2, 2, 5));
  expect(rest).toEqual([...whole.slice(10, 20), ...whole.slice(30, 40)]);
});
