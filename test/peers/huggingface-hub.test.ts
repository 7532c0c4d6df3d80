import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { hubSettings } from "../../src/hub/hub-settings.ts";
import { openHubModel, pullModel } from "../../src/hub/pull-model.ts";
import { commit, FakeHub } from "../fake-hub.ts";
import { peersHint, pythonPeers } from "./python-peers.ts";

/** It comes with transformers; both ask the same server, and then each reads the cache of the other without one. */
describe.skipIf(pythonPeers === null)(`huggingface_hub${peersHint}`, () => {
  let hub: FakeHub;
  let home = "";
  beforeEach(async () => {
    home = mkdtempSync(join(tmpdir(), "stemma-hub-"));
    hub = await FakeHub.start();
    hub.repositories["org/tiny"] = {
      ...{ "config.json": "{}", "tokenizer.json": "{ }", "1_Pooling/config.json": "{  }" },
      "model.safetensors": Buffer.alloc(300_000, 7),
    };
  });
  afterEach(async () => {
    await hub[Symbol.asyncDispose]();
    rmSync(home, { recursive: true });
  });

  const environment = (own: string, offline = "0") => ({
    ...{ HF_HOME: join(home, own), HF_ENDPOINT: hub.endpoint, HF_HUB_OFFLINE: offline },
    ...{ HF_HUB_DISABLE_XET: "1", HF_HUB_DISABLE_TELEMETRY: "1", HF_HUB_DISABLE_PROGRESS_BARS: "1" },
  });

  async function python(own: string, offline: string, lines: readonly string[]): Promise<string> {
    const environs = { ...process.env, ...environment(own, offline) };
    const child = spawn(pythonPeers ?? "", ["-c", ["from huggingface_hub import *", ...lines].join("\n")], {
      env: environs,
      stdio: ["ignore", "pipe", "ignore"],
    });
    let said = "";
    for await (const data of child.stdout) said += String(data);
    return said.trim();
  }

  /**
   * Every file below the cached repository, links with what they lead to, others with their size; without the lists of
   * files that it keeps for itself.
   */
  function listed(own: string): string[] {
    const root = join(home, own, "hub/models--org--tiny");
    return readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => !path.startsWith(join(root, "trees")))
      .map((path) => {
        const isLink = path.includes("/snapshots/");
        return `${path.slice(root.length)} ${isLink ? readlinkSync(path) : readFileSync(path).length}`;
      })
      .sort();
  }

  test("finds what Stemma fetched, leaves the same files, and Stemma finds what it fetched", async () => {
    const { path } = await pullModel("org/tiny", { settings: await hubSettings(environment("ours")) });
    const read = ["print(snapshot_download('org/tiny'))", "print(len(scan_cache_dir().warnings))"];
    expect(await python("ours", "1", read)).toBe(`${path}\n0`);

    const fetched = await python("theirs", "0", ["print(snapshot_download('org/tiny', max_workers=1))"]);
    expect(fetched).toBe(join(home, "theirs/hub/models--org--tiny/snapshots", commit));
    expect(listed("ours")).toEqual(listed("theirs"));
    const found = await openHubModel("org/tiny", { settings: await hubSettings(environment("theirs", "1")) });
    expect(found).toEqual({ path: fetched, name: "org/tiny", commit, fetched: 0 });
  }, 120_000);
});
