import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openNative } from "../../src/backend/native/index.ts";
import { doctorChecks } from "../../src/stages/doctor/index.ts";
import { stemma } from "./stemma.ts";

const folder = mkdtempSync(join(tmpdir(), "stemma-doctor-"));
afterAll(() => rmSync(folder, { recursive: true }));

const isBuilt = openNative().backend !== null;

test.runIf(isBuilt)("this installation is well, and is left as it was", async () => {
  const { code, stdout } = await stemma(["doctor", "--output", join(folder, "runs"), "--json"]);
  const { checks, ok } = JSON.parse(stdout) as { ok: boolean; checks: { name: string; status: string }[] };
  expect(checks).toMatchObject(doctorChecks.map(({ name }) => ({ name, status: "ok" })));
  expect([code, ok]).toEqual([0, true]);
  expect(readdirSync(folder)).toEqual([]);
});

test.skipIf(isBuilt)("without the addon the doctor says what is missing, and that the rest is well", async () => {
  const { code, stdout } = await stemma(["doctor", "--output", join(folder, "runs"), "--json"]);
  const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; detail: string }[] };
  const failed = checks.filter(({ status }) => status === "failed");
  expect(failed).toEqual([
    expect.objectContaining({ name: "native backend", detail: expect.stringMatching(/^the native addon .*; run `/) }),
  ]);
  expect(code).toBe(1);
});
