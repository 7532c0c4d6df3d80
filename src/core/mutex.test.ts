import { expect, test } from "vitest";
import { Mutex } from "./mutex.ts";

test("work runs in its order, one after the other, and goes on behind what failed", async () => {
  const mutex = new Mutex();
  const said: string[] = [];
  const work = (name: string, turns: number) => async () => {
    said.push(`${name} begins`);
    for (let i = 0; i < turns; i++) await Promise.resolve();
    said.push(`${name} ends`);
    if (name === "a") throw new Error("a failed");
    return name;
  };
  const all = [mutex.run(work("a", 5)), mutex.run(work("b", 0)), mutex.run(work("c", 2))];
  await mutex.settled();
  expect(said).toEqual(["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
  const results = await Promise.allSettled(all);
  expect(results.map((one) => (one.status === "fulfilled" ? one.value : one.reason.message))).toEqual([
    ...["a failed", "b", "c"],
  ]);
});
