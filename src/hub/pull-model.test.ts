import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { breakOff, checksum, commit, FakeHub, refuse, send } from "../../test/fake-hub.ts";
import type { PulledModel, PullOptions } from "./pull-model.ts";
import { openHubModel, pullModel } from "./pull-model.ts";

const weights = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 31) % 251));
const model = { "config.json": "{}", "tokenizer.json": '{"model":{}}', "model.safetensors": weights };

let hub: FakeHub;
let cache = "";
beforeEach(async () => {
  cache = mkdtempSync(join(tmpdir(), "stemma-hub-"));
  hub = await FakeHub.start();
  hub.repositories["org/tiny"] = { ...model };
});
afterEach(async () => {
  await hub[Symbol.asyncDispose]();
  rmSync(cache, { recursive: true });
});

const patience = { answerMs: 2000, idleMs: 2000, retries: 2, retryDelayMs: 1 };
const settings = (token: string | null = null, isOffline = false) => ({
  ...{ endpoint: hub.endpoint, token, cache, isOffline },
});
const pull = (reference = "org/tiny", options: PullOptions = {}): Promise<PulledModel> =>
  pullModel(reference, { settings: settings(), patience, ...options });
const root = (): string => join(cache, "models--org--tiny");
/** Compares bytes at once: a matcher takes seconds. */
const weightsIn = (folder: string): string =>
  readFileSync(join(folder, "model.safetensors")).equals(weights) ? "right" : "wrong";
const blobs = (): string[] => readdirSync(join(root(), "blobs")).sort();
const asked = (part: string): typeof hub.asked => hub.asked.filter(({ url }) => url.includes(part));

test("a model lies where huggingface_hub looks for it, without what it does not need", async () => {
  hub.repositories["org/tiny"] = {
    ...{ ...model, "1_Pooling/config.json": "{ }", "README.md": "hello", "pytorch_model.bin": "pickle" },
    ...{ "onnx/model.safetensors": "other", "model-Q4.gguf": "GGUF", "run.py": "import os" },
  };
  const seen: number[] = [];
  const pulled = await pull("org/tiny", { report: (done, total) => seen.push(done / total) });
  const snapshot = join(root(), "snapshots", commit);
  expect(pulled).toEqual({ path: snapshot, name: "org/tiny", commit, fetched: 300_000 + 2 + 12 + 3 });
  expect(readdirSync(snapshot).sort()).toEqual(["1_Pooling", "config.json", "model.safetensors", "tokenizer.json"]);
  expect(weightsIn(snapshot)).toBe("right");
  expect(readFileSync(join(snapshot, "1_Pooling/config.json"), "utf8")).toBe("{ }");
  expect(lstatSync(join(snapshot, "config.json")).isSymbolicLink()).toBe(true);
  expect(readFileSync(join(root(), "refs/main"), "utf8")).toBe(commit);
  // SHA-1 that `git hash-object` gives for `{}`.
  expect(blobs()).toContain("9e26dfeeb6e641a33dae4961196235bdb965b21b");
  expect([seen[0], seen.at(-1)]).toEqual([0, 1]);
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
});

test("what is there is not fetched again, and found without a network", async () => {
  await pull("org/tiny@tag");
  const count = hub.asked.length;
  expect(await openHubModel("hub:org/tiny@tag", { settings: settings() })).toMatchObject({ commit, fetched: 0 });
  expect(await openHubModel(`hub:org/tiny@${commit}`, { settings: settings() })).toMatchObject({ fetched: 0 });
  expect(await pull("org/tiny@tag", { settings: settings(null, true) })).toMatchObject({ fetched: 0 });
  expect(hub.asked.length).toBe(count);
  await expect(pull("org/tiny", { settings: settings(null, true) })).rejects.toThrow(
    `org/tiny: is not in the cache (${root()}), and HF_HUB_OFFLINE forbids to fetch it`,
  );
  expect((await pull()).fetched).toBe(0);
  expect(asked("/resolve/").length).toBe(3);
});

test("a snapshot that another program began gets what it lacks", async () => {
  const snapshot = join(root(), "snapshots", commit);
  mkdirSync(join(root(), "refs"), { recursive: true });
  mkdirSync(snapshot, { recursive: true });
  writeFileSync(join(root(), "refs/main"), commit);
  writeFileSync(join(snapshot, "config.json"), "{}");
  expect((await openHubModel("org/tiny", { settings: settings(), patience })).path).toBe(snapshot);
  expect(weightsIn(snapshot)).toBe("right");
  expect(lstatSync(join(snapshot, "config.json")).isSymbolicLink()).toBe(false);
});

test("only what turns text into tokens, then the rest", async () => {
  const { path } = await openHubModel("org/tiny", { settings: settings(), part: "tokenizer" });
  expect(readdirSync(path).sort()).toEqual(["config.json", "tokenizer.json"]);
  expect((await openHubModel("org/tiny", { settings: settings() })).fetched).toBe(300_000);
});

test("a repository's name alone is its folder of safetensors, whatever file of it was pulled before", async () => {
  hub.repositories["org/tiny"] = { ...model, "model-Q4.gguf": "GGUF" };
  const { path: gguf } = await pull("org/tiny:model-Q4.gguf");
  expect(gguf).toBe(join(root(), "snapshots", commit, "model-Q4.gguf"));
  const offline = { settings: settings(null, true) };
  expect((await openHubModel("hub:org/tiny", offline)).path).toBe(gguf); // all there is without the hub
  const { path } = await openHubModel("hub:org/tiny", { settings: settings() });
  expect(path).toBe(join(root(), "snapshots", commit));
  expect(weightsIn(path)).toBe("right");
});

test("a repository's only GGUF file is its name's, and the hub is asked once", async () => {
  hub.repositories["org/tiny"] = { "README.md": "hello", "model-Q4.gguf": "GGUF" };
  const path = join(root(), "snapshots", commit, "model-Q4.gguf");
  await pull("org/tiny:model-Q4.gguf");
  expect(await openHubModel("hub:org/tiny", { settings: settings() })).toMatchObject({ path, fetched: 0 });
  const count = hub.asked.length;
  expect(await openHubModel("hub:org/tiny", { settings: settings() })).toMatchObject({ path, fetched: 0 });
  expect(hub.asked.length).toBe(count);
});

/** Breaks the weights off after so many bytes of each attempt, so many times. */
function breaking(after: number, times: number): void {
  let left = times;
  hub.fault = ({ url, headers }, response) => {
    if (!url?.endsWith("/model.safetensors") || url.includes("/resolve/") || left-- <= 0) return false;
    const start = Number(/^bytes=(\d+)-$/.exec(headers.range ?? "")?.[1] ?? 0);
    const own = { etag: '"store"', "content-length": weights.length - start };
    const range = { "content-range": `bytes ${start}-${weights.length - 1}/${weights.length}` };
    breakOff(
      response,
      start > 0 ? 206 : 200,
      start > 0 ? { ...own, ...range } : own,
      weights.subarray(start, start + after),
    );
    return true;
  };
}

test("a break is followed by the rest, however often there is one while it gets on", async () => {
  breaking(70_000, 4);
  const { path } = await pull("org/tiny", { patience: { ...patience, retries: 5 } });
  expect(weightsIn(path)).toBe("right");
  const ranges = hub.asked.filter(({ server }) => server === "store").map(({ range }) => range);
  const starts = ranges.map((range) => Number(/^bytes=(\d+)-$/.exec(range ?? "bytes=0-")?.[1]));
  expect(starts).toEqual(starts.toSorted((a, b) => a - b)); // what was on its way at a break may be lost
  expect([starts.length, starts[0]]).toEqual([5, 0]);
  expect(starts[4]).toBeGreaterThan(0);
});

test("what was fetched before too many breaks is there for the next attempt, and no snapshot", async () => {
  breaking(100, 1000);
  await expect(pull()).rejects.toThrow(
    /org\/tiny:model\.safetensors: .* broke off \(.*\); check the network .* run it again/,
  );
  const hash = checksum("model.safetensors", weights);
  expect(blobs()).toContain(`${hash}.stemma.incomplete`);
  expect(existsSync(join(root(), "snapshots"))).toBe(false);
  const { length } = readFileSync(join(root(), "blobs", `${hash}.stemma.incomplete`));
  hub.fault = () => false;
  expect(await pull()).toMatchObject({ fetched: 300_000 - length });
  expect(asked("/model.safetensors").at(-1)?.range).toBe(`bytes=${length}-`);
  expect(blobs().filter((name) => name.includes(hash))).toEqual([hash]);
});

test("a stop leaves what was fetched", async () => {
  const stop = new AbortController();
  const report = (done: number): void => {
    if (done > 100_000) stop.abort();
  };
  await expect(pull("org/tiny", { signal: stop.signal, report })).rejects.toThrow("This operation was aborted");
  const [kept = ""] = blobs().filter((name) => name.endsWith(".stemma.incomplete"));
  expect(readFileSync(join(root(), "blobs", kept)).length).toBeGreaterThan(90_000);
  expect((await pull()).fetched).toBeLessThan(220_000);
});

test("what a process left that was killed is gone on with, unless it is no part of the file", async () => {
  mkdirSync(join(root(), "blobs"), { recursive: true });
  const hash = checksum("model.safetensors", weights);
  const dead = join(root(), "blobs", `.${hash}.partial-${2 ** 22 + 1}.0-0123456789ab`);
  writeFileSync(dead, weights.subarray(0, 1000));
  expect((await pull()).fetched).toBe(299_000 + 14);
  expect(existsSync(dead)).toBe(false);
  rmSync(join(root(), "blobs", hash));
  writeFileSync(join(root(), "blobs", `${hash}.stemma.incomplete`), "something else");
  const { path } = await pull();
  expect(weightsIn(path)).toBe("right");
});

test("two at once do not harm each other", async () => {
  breaking(70_000, 2);
  const pulled = await Promise.all([pull(), pull(), pull()]);
  for (const { path } of pulled) expect(weightsIn(path)).toBe("right");
  expect(blobs()).toEqual(
    Object.entries(model)
      .map(([path, contents]) => checksum(path, contents))
      .sort(),
  );
});

test("a file that is changed midway is fetched once more from the beginning, then refused", async () => {
  let [times, sent] = [1, 0];
  hub.fault = ({ url }, response) => {
    if (!url?.endsWith(`/resolve/${commit}/model.safetensors`) || sent++ >= times) return false;
    response
      .writeHead(302, { location: `${hub.storeAddress}/org/tiny/x`, "x-linked-etag": `"${"a".repeat(64)}"` })
      .end();
    return true;
  };
  await pull();
  rmSync(root(), { recursive: true });
  [times, sent] = [9, 0];
  await expect(pull()).rejects.toThrow(
    "org/tiny:model.safetensors: it was changed while it was fetched, twice; run it again later",
  );
  expect(sent).toBe(2);
});

test.each([
  ["other bytes", (bytes: Buffer) => Buffer.from(bytes).reverse(), "its checksum is not the one that is listed"],
  ["fewer bytes", (bytes: Buffer) => bytes.subarray(1), "299999 bytes are sent instead of 300000"],
  ["more bytes", (bytes: Buffer) => Buffer.concat([bytes, bytes]), "600000 bytes are sent instead of 300000"],
])("%s than the list says are refused", async (_, change, message) => {
  hub.fault = (request, response) => {
    if (request.url !== "/org/tiny/model.safetensors") return false;
    send(request, response, change(weights), '"store"');
    return true;
  };
  await expect(pull()).rejects.toThrow(`org/tiny:model.safetensors: ${message}, twice; run it again later`);
  expect(blobs()).not.toContain(checksum("model.safetensors", weights));
});

test("answers without a length that end too early or never are noticed", async () => {
  let bytes = weights.subarray(0, 10);
  hub.fault = ({ url }, response) => {
    if (url !== "/org/tiny/model.safetensors") return false;
    response.writeHead(200, { etag: '"store"' }).end(bytes);
    return true;
  };
  await expect(pull()).rejects.toThrow(
    "org/tiny:model.safetensors: ended after 10 of 300000 bytes; run it again to go on",
  );
  bytes = Buffer.concat([weights, weights]);
  await expect(pull()).rejects.toThrow("more than its 300000 bytes are sent, twice");
});

test("a server that falls silent is left after a while", async () => {
  hub.fault = ({ url }, response) => {
    if (url !== "/org/tiny/model.safetensors") return false;
    response.writeHead(200, { "content-length": weights.length }).write("a");
    return true;
  };
  await expect(pull("org/tiny", { patience: { ...patience, idleMs: 30, retries: 1 } })).rejects.toThrow(
    /model\.safetensors: 127\.0\.0\.1:\d+ has not answered for a while; run it again to go on/,
  );
  hub.fault = () => true;
  await expect(pull("org/tiny", { patience: { ...patience, answerMs: 30, retries: 0 } })).rejects.toThrow(
    "has not answered for a while",
  );
});

test("the token goes to the hub and nowhere else", async () => {
  await pull("org/tiny", { settings: settings("secret") });
  for (const { server, token } of hub.asked) expect(token).toBe(server === "hub" ? "Bearer secret" : undefined);
  expect(hub.asked.some(({ server }) => server === "store")).toBe(true);
});

test.each([
  [
    404,
    "RepoNotFound",
    null,
    "org/tiny: does not exist or is private (404); check the name, and set HF_TOKEN if it is private",
  ],
  [
    401,
    undefined,
    null,
    "org/tiny: does not exist or is private (401); check the name, and set HF_TOKEN if it is private",
  ],
  [401, undefined, "old", "org/tiny: the token is not accepted (401); set HF_TOKEN to a valid one, or unset it"],
  [
    403,
    "GatedRepo",
    null,
    "org/tiny: is gated (403); ask for access at HUB/org/tiny, then set HF_TOKEN to a token of that account",
  ],
  [403, "GatedRepo", "mine", "org/tiny: is gated (403); ask for access at HUB/org/tiny, then wait until it is granted"],
  [403, undefined, "mine", "org/tiny: access is refused (403); use a token that may read it"],
  [
    404,
    "RevisionNotFound",
    null,
    "org/tiny: there is no such revision (404); see HUB/org/tiny/tree/main for those there are",
  ],
  [418, undefined, null, "org/tiny: the hub answers 418; check HF_ENDPOINT"],
])("an answer %s %s, with token %s", async (status, code, token, message) => {
  hub.fault = (_, response) => {
    refuse(response, status, code);
    return true;
  };
  await expect(pull("org/tiny", { settings: settings(token) })).rejects.toThrow(
    message.replaceAll("HUB", hub.endpoint),
  );
  expect(hub.asked).toHaveLength(1);
  expect(existsSync(root())).toBe(false);
});

test.each([429, 500, 503])("an answer %i is waited for", async (status) => {
  let left = 2;
  hub.fault = (_, response) => {
    if (left-- <= 0) return false;
    refuse(response.setHeader("retry-after", "0"), status);
    return true;
  };
  await pull();
  left = 9;
  await expect(pull()).rejects.toThrow(
    /^org\/tiny: the server (wants fewer requests|fails) \(\d+\); run it again later$/,
  );
});

test("a page instead of a list or a file is called one", async () => {
  const page = (part: string) =>
    (hub.fault = ({ url }, response) => {
      if (!url?.includes(part)) return false;
      response.writeHead(200, { "content-type": "text/html" }).end("<html>Log in</html>");
      return true;
    });
  page("/api/");
  await expect(pull()).rejects.toThrow(
    "org/tiny: what answers is no hub (its text/html makes no sense); check HF_ENDPOINT",
  );
  page("/resolve/");
  await expect(pull()).rejects.toThrow(
    "org/tiny:config.json: a web page is sent instead of the file; check HF_ENDPOINT",
  );
});

test("no network is said as that", async () => {
  const gone = { ...settings(), endpoint: "http://127.0.0.1:9009" };
  await expect(pull("org/tiny", { settings: gone })).rejects.toThrow(
    "org/tiny: 127.0.0.1:9009 cannot be reached, or broke off (ECONNREFUSED); check the network and HF_ENDPOINT",
  );
});

test.each(["../../evil.json", "/etc/passwd", "a/../../b", "c:\\x", "a\nb"])(
  "a repository that lists %j is not fetched",
  async (path) => {
    hub.relist = (entries) => [...entries, { type: "file", path, size: 1, oid: "0".repeat(40) }];
    await expect(pull()).rejects.toThrow(/leads out of its folder or is no name everywhere; nothing of it is fetched/);
    expect(asked("/resolve/")).toEqual([]);
  },
);

test("lists that make no sense are refused", async () => {
  hub.relist = (entries) => [{ ...entries[0], size: -1 }];
  await expect(pull()).rejects.toThrow("org/tiny: what answers is no hub (its entry");
  hub.relist = (entries) => [{ ...entries[0], oid: "../../x" }];
  await expect(pull()).rejects.toThrow("its checksum of config.json makes no sense");
  hub.relist = (entries) => Array.from({ length: 20_001 }, () => entries[0]);
  await expect(pull()).rejects.toThrow(
    "org/tiny: has more than 20000 files; a model has a few: name the file, org/tiny:file",
  );
  hub.relist = (entries) => entries.map((entry) => ({ ...entry, type: "symlink" }));
  await expect(pull()).rejects.toThrow("org/tiny: has no model.safetensors and no GGUF file, no weights");
  hub.relist = (entries) => entries.map((entry) => ({ ...entry, size: 2 ** 50, lfs: null, oid: "0".repeat(40) }));
  await expect(pull()).rejects.toThrow(
    /org\/tiny: 1,126 TB are to be fetched and .* has .* free; free some space, or choose/,
  );
});

test("shards that the index names and the repository lacks are missed before any is fetched", async () => {
  const [one, two] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
  const index = (...names: readonly string[]): string =>
    JSON.stringify({ weight_map: Object.fromEntries(names.map((name, i) => [`t${i}`, name])) });
  const files = { "config.json": "{}", [one]: "1", "model.safetensors.index.json": index(one, two) };
  hub.repositories["org/tiny"] = files;
  await expect(pull()).rejects.toThrow(
    `org/tiny: model.safetensors.index.json names ${two}, which the repository does not have; choose another revision`,
  );
  expect(asked(one)).toEqual([]);
  hub.repositories["org/tiny"] = { ...files, [two]: "22" };
  const { path } = await pull();
  rmSync(join(path, two)); // then it is not whole, and what is missing is put back from what was fetched
  expect(await openHubModel("org/tiny", { settings: settings(), patience })).toMatchObject({ path, fetched: 0 });
  expect(readFileSync(join(path, two), "utf8")).toBe("22");
});

test("a list of several pages is read to its end, unless it leads to another server", async () => {
  let next = `${hub.endpoint}/api/models/org/tiny/tree/${commit}?cursor=1`;
  hub.relist = (entries) => (next.endsWith("-") ? entries.slice(1) : entries.slice(0, 1));
  hub.fault = ({ url = "" }, response) => {
    if (!url.includes("/tree/")) return false;
    if (url.includes("cursor")) next += "-";
    else response.setHeader("link", `<${next}>; rel="next"`);
    return false;
  };
  expect((await pull()).fetched).toBe(300_014);
  next = `${hub.storeAddress}/more`;
  await expect(pull("org/tiny", { settings: settings("secret") })).rejects.toThrow(
    /what answers is no hub \(its continuation at 127\.0\.0\.1:\d+ makes no sense\)/,
  );
  expect(asked("/more")).toEqual([]);
});

test("redirects without end, or to what is no server, are refused", async () => {
  let location = "/org/tiny/round";
  hub.fault = ({ url }, response) => {
    if (url?.startsWith("/api/")) return false;
    response.writeHead(302, { location }).end();
    return true;
  };
  await expect(pull()).rejects.toThrow(/org\/tiny:config\.json: .* leads in circles; check HF_ENDPOINT/);
  location = "file:///etc/passwd";
  await expect(pull()).rejects.toThrow("leads to no address (file:///etc/passwd); check HF_ENDPOINT");
});
