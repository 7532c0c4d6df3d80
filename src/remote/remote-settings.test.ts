import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { openRemote, refuseLocal } from "./remote-settings.ts";

const signal = new AbortController().signal;
const settings = { timeoutSeconds: 3, retries: 1, apiKeyFile: undefined };
const notes: string[] = [];
const io = { note: (line: string) => notes.push(line), signal };
const here = "http://127.0.0.1:8000/v1";

afterEach(() => {
  vi.unstubAllEnvs();
  notes.length = 0;
});

test("a key comes from a file, else from the environment, else there is none", async () => {
  const folder = await mkdtemp(join(tmpdir(), "stemma-"));
  try {
    const [file, empty] = [join(folder, "key"), join(folder, "empty")];
    await writeFile(file, "from-file\r\nsecond line\n");
    await writeFile(empty, "\n");
    vi.stubEnv("OPENAI_API_KEY", "from-environment");
    const opened = await openRemote({ ...settings, baseUrl: here, apiKeyFile: file }, "m", io);
    expect(opened).toEqual({ baseUrl: here, model: "m", apiKey: "from-file", timeoutMs: 3000, retries: 1, signal });
    expect((await openRemote({ ...settings, baseUrl: here }, "m", io)).apiKey).toBe("from-environment");
    await expect(openRemote({ ...settings, baseUrl: here, apiKeyFile: empty }, "m", io)).rejects.toThrow(
      "has an empty first line; write the key there",
    );
    const missing = openRemote({ ...settings, baseUrl: here, apiKeyFile: join(folder, "none") }, "m", io);
    await expect(missing).rejects.toThrow("cannot read: it does not exist");
    vi.stubEnv("OPENAI_API_KEY", "two words");
    await expect(openRemote({ ...settings, baseUrl: here }, "m", io)).rejects.toThrow(
      /^OPENAI_API_KEY: holds something/,
    );
    vi.stubEnv("OPENAI_API_KEY", "");
    expect((await openRemote({ ...settings, baseUrl: here }, "m", io)).apiKey).toBeNull();
    expect(notes).toEqual([]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a key that would be read on its way is noted", async () => {
  vi.stubEnv("OPENAI_API_KEY", "secret");
  for (const baseUrl of [
    "https://example.org/v1",
    "http://localhost:1",
    "http://[::1]:1/v1",
    "http://example.org/v1",
  ]) {
    await openRemote({ ...settings, baseUrl }, "m", io);
  }
  expect(notes).toEqual(["the key goes to example.org unencrypted; use https there"]);
});

test("addresses that are none, or say more than that, are refused", async () => {
  for (const baseUrl of ["", "localhost:8000", "ftp://example.org", "runs/model"]) {
    await expect(openRemote({ ...settings, baseUrl }, "m", io)).rejects.toThrow(/^base-url: .*is no http address/);
  }
  for (const baseUrl of ["http://user:key@example.org/v1", "http://example.org/v1?key=x"]) {
    const error = await openRemote({ ...settings, baseUrl }, "m", io).catch((reason: unknown) => String(reason));
    expect(error).toMatch(/base-url: has more than host, port and path; give a key by --api-key-file$/);
  }
});

test("what is for models here is refused beside an address", () => {
  expect(() => refuseLocal(here, { adapter: [], weights: undefined })).not.toThrow();
  expect(() => refuseLocal(here, { adapter: [], weights: "bfloat16" })).toThrow(/^weights: is for models here/);
  expect(() => refuseLocal(here, { adapter: ["a"] })).toThrow(/^adapter: .*leave it out, or --base-url$/);
});
