import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readStaticFiles } from "./static-files.ts";

const folder = mkdtempSync(join(tmpdir(), "stemma-app-"));
const script = "export const answer = 42;\n".repeat(100);

beforeAll(() => {
  mkdirSync(join(folder, "assets"));
  writeFileSync(join(folder, "index.html"), "<!doctype html>");
  writeFileSync(join(folder, "assets/index-a1b2.js"), script);
  writeFileSync(join(folder, "assets/notes.txt"), "not of the app");
  symlinkSync("/etc/passwd", join(folder, "assets/passwd.js"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const bytesOf = async (answer: Response): Promise<Buffer> => Buffer.from(await answer.arrayBuffer());

test("only files of known types are there, none through a link, and the page is the root", () => {
  expect(readStaticFiles(folder).paths.toSorted()).toEqual(["/", "/assets/index-a1b2.js"]);
  expect(readStaticFiles(join(folder, "missing")).paths).toEqual([]);
});

test.each([
  ["gzip, deflate, br", "br", brotliDecompressSync],
  ["gzip", "gzip", gunzipSync],
  ["gzip, br;q=0", "gzip", gunzipSync],
  ["", null, (bytes: Buffer) => bytes],
] as const)("a browser that reads %j gets %s", async (accepted, encoding, decode) => {
  const answer = readStaticFiles(folder).answer("/assets/index-a1b2.js", new Headers({ "accept-encoding": accepted }));
  const bytes = await bytesOf(answer);
  expect(answer.headers.get("content-encoding")).toBe(encoding);
  expect(answer.headers.get("content-length")).toBe(String(bytes.length));
  expect(decode(bytes).toString()).toBe(script);
});

test("what a browser has is not sent again; names with hashes are kept for ever, the page is asked for each time", () => {
  const files = readStaticFiles(folder);
  const first = files.answer("/", new Headers());
  expect(first.headers.get("cache-control")).toBe("no-cache");
  expect(files.answer("/assets/index-a1b2.js", new Headers()).headers.get("cache-control")).toContain("immutable");
  const tag = first.headers.get("etag") ?? "";
  expect(files.answer("/", new Headers({ "if-none-match": `"other", W/${tag}` })).status).toBe(304);
  expect(files.answer("/", new Headers({ "if-none-match": '"other"' })).status).toBe(200);
});
