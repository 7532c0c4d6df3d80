import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { openReference } from "../../src/backend/reference/index.ts";
import { writeModelFolder } from "../../src/checkpoint/model-folder.ts";
import { Random } from "../../src/core/random.ts";
import { rewardContents, withPaddingToken } from "../../src/generate/assistant.ts";
import { encoderIn } from "../../src/models/encoder-in.ts";
import { gpt2 } from "../../src/models/gpt-families.ts";
import { loadRewardModel } from "../../src/models/reward-model.ts";
import { writeSmallEncoder } from "../small-encoder.ts";
import { writeSmallModel } from "../small-model.ts";
import { RunningServer } from "./running-server.ts";

/** The small models and a server of all of them, for the tests of one file; taken away after these. */
export async function serveSmallModels() {
  const folder = new ServedFolder();
  afterAll(() => folder.remove());
  await folder.write();
  const server = await folder.start();
  return { folder, at: (name: string): string => folder.at(name), server, openai: server.client() };
}

/** Folders of small models, and servers that tests start with them. */
export class ServedFolder {
  readonly path = mkdtempSync(join(tmpdir(), "stemma-serve-"));
  readonly #servers: RunningServer[] = [];

  /** Writes a decoder as `writer`, an encoder as `reader` and a reward model as `judge`. */
  async write(): Promise<void> {
    await writeSmallModel(this.at("writer"), gpt2, { n_positions: 512 });
    await writeSmallEncoder(this.at("reader"));
    const { model } = await loadRewardModel(this.at("writer"), openReference(), new Random(3));
    model.shift = 0.5;
    const encoder = withPaddingToken(await encoderIn(this.at("writer")));
    await writeModelFolder(this.at("judge"), rewardContents(gpt2, model, encoder));
  }

  at(name: string): string {
    return join(this.path, name);
  }

  /** Starts a server of all three models, or of those that `args` name. */
  async start(...args: string[]): Promise<RunningServer> {
    const all = ["--model", this.at("writer"), "--model", this.at("reader"), "--model", `judge=${this.at("judge")}`];
    const server = await RunningServer.start(...(args.includes("--model") ? args : [...all, ...args]));
    this.#servers.push(server);
    return server;
  }

  /** Ends all servers and takes the folders away. */
  async remove(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop("SIGKILL")));
    rmSync(this.path, { recursive: true });
  }
}
