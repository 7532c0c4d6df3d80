import { expect, test } from "vitest";
import { StopStrings } from "./stop-strings.ts";

function stream(stops: string[], pieces: string[]): { shown: string[]; stopped: boolean } {
  const filter = new StopStrings(stops);
  const shown = pieces.map((piece) => filter.push(piece));
  return { shown: [...shown, filter.flush()], stopped: filter.stopped };
}

test("a stop string split over pieces is never shown, nor what follows it", () => {
  expect(stream(["\nUser:"], ["Hello", "\nUs", "er: hi", "more"])).toEqual({
    shown: ["Hello", "", "", "", ""],
    stopped: true,
  });
});

test("what only looked like a stop string comes with the next piece", () => {
  expect(stream(["###"], ["a#", "#", "b#"])).toEqual({ shown: ["a", "", "##b", "#"], stopped: false });
});

test("the earliest of several stop strings wins", () => {
  expect(stream(["c", "b"], ["abcd"]).shown).toEqual(["a", ""]);
});

test("without stop strings everything passes", () => {
  expect(stream([], ["x", "y"])).toEqual({ shown: ["x", "y", ""], stopped: false });
});
