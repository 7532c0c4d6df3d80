import { expect, test } from "vitest";
import { partitionPoint } from "./partition-point.ts";

test.each([0, 1, 2, 7, 8])("of %i places the first that fails is found, by few questions", (length) => {
  for (let end = 0; end <= length; end++) {
    let asked = 0;
    const holds = (place: number): boolean => {
      asked += 1;
      return place < end;
    };
    expect(partitionPoint(length, holds)).toBe(end);
    expect(asked).toBeLessThanOrEqual(Math.ceil(Math.log2(length + 1)));
  }
});
