import { afterEach, expect, test } from "vitest";
import { PeerError, PeerProcess } from "./peer-process.ts";

let peer: PeerProcess | null = null;

afterEach(() => peer?.close());

/** A peer that runs `body` for each line. */
function nodePeer(body: string): PeerProcess {
  const program = `require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => { ${body} });`;
  peer = new PeerProcess(process.execPath, ["-e", program]);
  return peer;
}

test("commands are answered in order", async () => {
  const echo = nodePeer("console.log(line)");
  const answers = await Promise.all([1, 2, 3].map((steps) => echo.ask({ steps })));
  expect(answers).toEqual([{ steps: 1 }, { steps: 2 }, { steps: 3 }]);
});

test("an answer that says error is thrown", async () => {
  const failing = nodePeer(`console.log('{"error":"no such model"}')`);
  await expect(failing.ask({})).rejects.toThrow(new PeerError("no such model"));
});

test("a peer that dies is reported with its last words", async () => {
  const dying = nodePeer(`console.error("first\\nModuleNotFoundError: torch"); process.exit(1)`);
  await expect(dying.ask({})).rejects.toThrow("ModuleNotFoundError: torch");
});

test("a program that is not there is reported", async () => {
  peer = new PeerProcess("no-such-program-anywhere", []);
  await expect(peer.ask({})).rejects.toThrow(/ENOENT/);
});

test("a peer that does not answer in time is ended", async () => {
  const silent = nodePeer("for (;;);");
  await expect(silent.ask({}, 0.2)).rejects.toThrow(new PeerError("no answer within 0.2 s"));
});
