import fc from "fast-check";
import { expect, test } from "vitest";
import { mixture } from "./mixture.ts";

test("every source is read in order and without gaps, in proportion to its weight at every moment", () => {
  const weights = fc.array(fc.double({ min: 0.01, max: 100, noNaN: true }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(weights, (values) => {
      const pick = mixture(values);
      const total = values.reduce((a, b) => a + b, 0);
      const taken = values.map(() => 0);
      let gaps = 0;
      let deviation = 0;
      for (let sample = 0; sample < 2000; sample++) {
        const { source, index } = pick(sample);
        if (index !== taken[source]!++) gaps += 1;
        for (const [s, weight] of values.entries()) {
          deviation = Math.max(deviation, Math.abs(taken[s]! - ((sample + 1) * weight) / total));
        }
      }
      expect(gaps).toBe(0);
      expect(deviation).toBeLessThan(values.length); // each division before a source rounds by less than a sample
    }),
    { numRuns: 50 },
  );
});

test("two equal sources alternate, and a far sample costs nothing", () => {
  const pick = mixture([1, 1]);
  expect([0, 1, 2, 3].map((sample) => pick(sample).source)).toEqual([1, 0, 1, 0]);
  expect(pick(2 ** 32)).toEqual({ source: 1, index: 2 ** 31 });
});
