import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { checkHost, checkOrigin } from "./access.ts";
import { ApiKeys, readApiKeys } from "./api-keys.ts";

const folder = mkdtempSync(join(tmpdir(), "stemma-keys-"));
afterAll(() => rmSync(folder, { recursive: true }));

const rules = { hosts: ["box.lan"], origins: ["https://chat.example"] };

test.each(["localhost", "localhost:8000", "127.0.0.1:80", "[::1]:8000", "LOCALHOST:1", "box.lan:8000"])(
  "host %s is this server's",
  (host) => expect(() => checkHost(host, rules, "127.0.0.1")).not.toThrow(),
);

test.each([
  null,
  "",
  "evil.example",
  "localhost.evil.example",
  "127.0.0.1.evil.example",
  "127.0.0.1:8000@evil",
  "[::1]x",
])("host %j is not", (host) =>
  expect(() => checkHost(host, rules, "127.0.0.1")).toThrow(/is not a name of this server; start it with --allow-host/),
);

test("the address that the connection came in on is this server's, another one is not", () => {
  for (const [host, address] of [
    ["192.168.1.5:8000", "192.168.1.5"],
    ["192.168.1.5", "::ffff:192.168.1.5"],
    ["[FD00::5]:8000", "fd00::5"],
  ] as const) {
    expect(() => checkHost(host, rules, address)).not.toThrow();
    expect(() => checkHost(host, rules, "192.168.1.6")).toThrow(/is not a name/);
    expect(() => checkHost(host, rules, undefined)).toThrow(/is not a name/);
  }
});

const from = (headers: Record<string, string>): string | null =>
  checkOrigin(new Headers({ host: "localhost:8000", ...headers }), rules);

test("a program without a page, the server's own page and an allowed page may ask", () => {
  expect(from({})).toBeNull();
  expect(from({ origin: "http://localhost:8000", "sec-fetch-site": "same-origin" })).toBeNull();
  expect(from({ origin: "https://chat.example", "sec-fetch-site": "cross-site" })).toBe("https://chat.example");
});

test.each([
  { origin: "http://localhost:3000" },
  { origin: "null" },
  { origin: "https://chat.example.evil" },
  { "sec-fetch-site": "cross-site" },
  { origin: "http://localhost:8000", "sec-fetch-site": "cross-site" },
])("%j may not", (headers) => expect(() => from(headers)).toThrow(/may not ask this server/));

test("a key lets its owner in, and nothing else does", () => {
  const keys = new ApiKeys(["first-key-of-many", "second-key-of-many"]);
  expect(keys.ownerOf("Bearer second-key-of-many")).toBe("key-2");
  expect(keys.ownerOf("bearer  first-key-of-many")).toBe("key-1");
  for (const wrong of [null, "", "Bearer ", "Bearer second-key-of-man", "Basic second-key-of-many"]) {
    expect(() => keys.ownerOf(wrong)).toThrow(/API key/);
  }
});

test("a file of keys is read line by line; a message about it never shows a key", async () => {
  const path = join(folder, "keys");
  const read = (text: string): Promise<ApiKeys> => {
    writeFileSync(path, text);
    return readApiKeys(path);
  };
  expect((await read("# mine\r\n  0123456789abcdef  \n\n")).ownerOf("Bearer 0123456789abcdef")).toBe("key-1");
  await expect(read("# none\n")).rejects.toThrow("holds no key");
  await expect(read("short-secret\n")).rejects.toThrow(/line 1: has 12 characters; take at least 16/);
  await expect(read("0123456789abcdef\nsecret with spaces in\n")).rejects.toThrow(/line 2: a key has no spaces/);
  await expect(readApiKeys(join(folder, "missing"))).rejects.toThrow(/cannot be read \(ENOENT\)/);
});
