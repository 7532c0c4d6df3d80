import { describe, expect, test } from "vitest";
import { openReference } from "../../backend/reference/index.ts";
import { chooseSize, isFaster, measuredOn, roadSeconds } from "./choose-size.ts";

/** A machine of so many operations a second, whatever the size of its products. */
async function on(rate: number, minutes = 8) {
  const { operations } = measuredOn(openReference());
  const tried: number[] = [];
  const secondsPerStep = async (shape: Parameters<typeof operations>[0]): Promise<number> => {
    tried.push(shape.width);
    return (await operations(shape)) / rate;
  };
  return { ...(await chooseSize({ minutes, secondsPerStep, operations })), tried };
}

describe("the quickstart is as large as the machine is fast", () => {
  test("the whole road where it takes less than eight minutes", async () => {
    expect(await on(400e9)).toMatchObject({ layers: 6, heads: 6, width: 192, scale: 1, tried: [32, 64, 128, 192] });
  });

  test.each([200e9, 100e9, 50e9, 20e9, 5e9, 1e9, 2e8])(
    "within eight minutes at %d operations a second",
    async (rate) => {
      const { scale, secondsPerStep } = await on(rate);
      const seconds = roadSeconds({ scale }, secondsPerStep, "whole");
      expect(seconds).toBeLessThan(9 * 60);
      if (scale < 1) expect(seconds).toBeGreaterThan(7.5 * 60);
    },
  );

  test("nothing is tried that cannot be chosen: a step of it would take as long as the road", async () => {
    expect(await on(1e9)).toMatchObject({ layers: 2, width: 32, tried: [32] });
  });

  test("who has less time gets a smaller model", async () => {
    expect((await on(400e9, 1)).width).toBeLessThan(192);
  });
});

test("a step is timed on a real backend", async () => {
  const stopped = measuredOn(openReference(), AbortSignal.abort(new Error("enough")));
  await expect(stopped.secondsPerStep({ layers: 2, heads: 2, width: 32 })).rejects.toThrow("enough");
  const { secondsPerStep } = measuredOn(openReference());
  const seconds = await secondsPerStep({ layers: 2, heads: 2, width: 32 });
  expect(seconds).toBeGreaterThan(0);
  expect(Number.isFinite(seconds)).toBe(true);
});

test("numbers are rounded where that is clearly faster, by the best of several measurements", () => {
  const machine = (...peaks: number[]): { peak: () => number } => {
    let turn = 0;
    return { peak: () => peaks[turn++ % peaks.length] ?? 0 };
  };
  expect(isFaster(machine(10, 90, 200), machine(100))).toBe(true);
  expect(isFaster(machine(110), machine(100, 20))).toBe(false);
  expect(isFaster(machine(50), machine(1, 2, 100))).toBe(false);
  expect(isFaster({}, {})).toBe(false);
});
