import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { PeerProcess } from "./peers/peer-process.ts";
import type { Side } from "./turns.ts";
import { takeTurns } from "./turns.ts";

interface Count {
  readonly count: number;
}

let diary = "";
beforeEach(() => {
  diary = join(mkdtempSync(join(tmpdir(), "stemma-turns-")), "diary");
});
afterEach(() => rmSync(join(diary, ".."), { recursive: true }));

/** A side that counts its turns, writes down when it has one, and fails at one of them. */
function side(name: string, failsAt = 0): Side<Count> {
  const program = `
    let count = 0;
    require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
      require("node:fs").appendFileSync(${JSON.stringify(diary)}, ${JSON.stringify(name)} + JSON.parse(line).asked);
      count += 1;
      console.log(JSON.stringify(count === ${failsAt} ? { error: "no more" } : { count }));
    });`;
  const process_ = new PeerProcess(process.execPath, ["-e", program]);
  return { name, isOurs: name === "a", process: process_, command: (last) => ({ asked: last?.count ?? 0 }) };
}

test("the machine and the sides take turns, in an order that turns round; a side is told its last answer", async () => {
  const measured = await takeTurns(
    [side("a"), side("b")],
    3,
    () => {},
    () => appendFileSync(diary, " "),
  );
  expect(readFileSync(diary, "utf8")).toBe(" a0b0 b1a1 a2b2");
  expect(measured.map((one) => [one.side.name, one.answers])).toEqual(
    ["a", "b"].map((name) => [name, [{ count: 1 }, { count: 2 }, { count: 3 }]]),
  );
});

test("a peer that fails is left out with its reason", async () => {
  const reasons: string[] = [];
  const measured = await takeTurns([side("a"), side("b", 2)], 3, (reason) => reasons.push(reason));
  expect(reasons).toEqual(["b: no more"]);
  expect(measured.map((one) => one.side.name)).toEqual(["a"]);
});

test("our own side has to work", async () => {
  await expect(takeTurns([side("a", 1), side("b")], 1, () => {})).rejects.toThrow("no more");
});
