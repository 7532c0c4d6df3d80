import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RunningServer } from "./running-server.ts";
import { ServedFolder } from "./served-folder.ts";

const built = join(import.meta.dirname, "../../dist/web");
const page = readFileSync(join(built, "index.html"), "utf8");
const firstFiles = [...page.matchAll(/(?:src|href)="\.\/([^"]+)"/g)].map(([, name = ""]) => name);

test("what a browser loads before it shows anything is at most 120 KB, with nothing from elsewhere", () => {
  expect(firstFiles.some((name) => name.endsWith(".js"))).toBe(true);
  const sizes = ["index.html", ...firstFiles].map((name) => gzipSync(readFileSync(join(built, name))).length);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(120 * 1024);
  expect(page).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
  expect(page).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\son\w+=/); // the policy forbids what stands in the page itself
});

const folder = new ServedFolder();
const key = "sk-watch-the-runs-0123456789";
let server: RunningServer;

beforeAll(async () => {
  await folder.write();
  writeFileSync(folder.at("keys"), `${key}\n`, { mode: 0o600 });
  mkdirSync(folder.at("runs/first"), { recursive: true });
  writeFileSync(folder.at("runs/first/metrics.jsonl"), '{"step":1,"loss":2.5}\n{"step":2,"loss":2.25}\n');
  symlinkSync("/", folder.at("runs/elsewhere"));
  const writer = ["--model", folder.at("writer"), "--runs", folder.at("runs")];
  server = await folder.start(...writer, "--api-key-file", folder.at("keys"));
}, 120_000);
afterAll(() => folder.remove());

test("the app needs no key, says by its policy what it may load, and is not sent twice", async () => {
  for (const path of ["/", ...firstFiles.map((name) => `/${name}`)]) {
    const { status, headers } = await server.get(path);
    expect([path, status]).toEqual([path, 200]);
    expect(headers.get("content-security-policy")).toBe(
      "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    );
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    const again = await server.get(path, { "if-none-match": headers.get("etag") ?? "" });
    expect(again.status).toBe(304);
  }
  expect((await server.post("/", {})).status).toBe(405);
  expect((await server.get("/assets/..%2f..%2fpackage.json", { authorization: `Bearer ${key}` })).status).toBe(404);
});

test("what the app reads has the key's rules, and those of host and origin", async () => {
  expect((await server.get("/api/runs")).status).toBe(401);
  const foreign = { authorization: `Bearer ${key}`, origin: "https://elsewhere.example" };
  expect((await server.get("/api/runs", foreign)).status).toBe(403);
  const { status, body } = await server.get("/api/runs", { authorization: `Bearer ${key}` });
  expect(status).toBe(200);
  expect(body.runs).toMatchObject([{ id: "first", state: "stopped", step: 2, metrics: { loss: 2.25 } }]);
});
