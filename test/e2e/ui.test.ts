import { cpSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RunningServer } from "./running-server.ts";
import { ServedFolder } from "./served-folder.ts";
import { stemma } from "./stemma.ts";

const folder = new ServedFolder();
const runs = folder.at("runs");
const servers: RunningServer[] = [];
/** As where nobody sits in front. */
const environment = { DISPLAY: "", WAYLAND_DISPLAY: "", CI: "1" };

beforeAll(async () => {
  await folder.write();
  for (const name of ["writer", "judge"]) {
    cpSync(folder.at(name), join(runs, name, "final"), { recursive: true });
    writeFileSync(join(runs, name, "metrics.jsonl"), "");
  }
}, 120_000);
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop("SIGKILL")));
  await folder.remove();
});

async function startUi(...args: string[]): Promise<RunningServer> {
  const server = await RunningServer.startBy("ui", "--no-open", ...args);
  servers.push(server);
  return server;
}

test("the models and runs of a folder are there, and who asks for them again is shown the same server", async () => {
  const server = await startUi("--runs", runs);
  const names = (await server.get("/v1/models")).body.data.map(({ id }: { id: string }) => id);
  expect(names.sort()).toEqual(["judge", "writer"]);
  const page = await server.get("/");
  expect([page.status, page.body]).toEqual([200, expect.stringContaining("<title>Stemma")]);
  const again = await stemma(["ui", "--runs", runs, "--port", String(server.port)], { environment });
  expect(again.code).toBe(0);
  expect(again.stdout).toBe(`the app is at http://127.0.0.1:${server.port}/\n`);
  expect(again.stderr).toContain(`a Stemma server runs on port ${server.port} already`);
});

test("without models and runs the app is there, and how one makes some is said", async () => {
  const server = await startUi("--runs", folder.at("nothing"));
  expect(server.said).toContain(`there is no folder ${folder.at("nothing")}`);
  expect(server.said).toContain("there are no models in");
  expect((await server.get("/v1/models")).body.data).toEqual([]);
  expect((await server.get("/api/runs")).body.runs).toEqual([]);
  const { status, body } = await server.post("/v1/completions", { prompt: "a" });
  expect([status, body.error.code]).toEqual([404, "model_not_found"]);
  expect(await server.stop()).toBe(143);
});

test("a port that another program has is refused with its name", async () => {
  const other = createServer((_, response) => void response.end("<title>Something else</title>"));
  await new Promise<void>((listens) => other.listen(0, "127.0.0.1", listens));
  const { port } = other.address() as AddressInfo;
  const { code, stderr } = await stemma(["ui", "--runs", runs, "--port", String(port)], { environment });
  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining(`${port} of 127.0.0.1 is taken by process ${process.pid}`),
  ]);
  other.close();
});
