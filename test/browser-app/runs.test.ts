import { afterAll, beforeAll, expect } from "vitest";
import type { RunningServer } from "../e2e/running-server.ts";
import { ServedFolder } from "../e2e/served-folder.ts";
import { OpenedApp, test } from "./opened-app.ts";

const folder = new ServedFolder();
let server: RunningServer;

beforeAll(async () => {
  await folder.write();
  server = await folder.start("--runs", folder.at("runs"));
});
afterAll(() => folder.remove());

test("without runs the page says how one is begun, for everyone", async () => {
  const app = await OpenedApp.open(server, "#/runs");
  await app.page.getByText("no run", { exact: false }).first().waitFor();
  expect(await app.faults()).toEqual([]);
  await app.close();
});
