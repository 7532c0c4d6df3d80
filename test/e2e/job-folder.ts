import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RunningServer } from "./running-server.ts";
import { ServedFolder } from "./served-folder.ts";

/** A folder of runs with a model and with conversations that it can learn from, for tests that start jobs. */
export class JobFolder extends ServedFolder {
  readonly runs = this.at("runs");
  readonly writer = join(this.runs, "writer");
  readonly talks = join(this.runs, "talks.jsonl");

  override async write(): Promise<void> {
    await super.write();
    mkdirSync(this.runs);
    cpSync(this.at("writer"), this.writer, { recursive: true });
    const messages = [
      { role: "user", content: "And" },
      { role: "assistant", content: "God said" },
    ];
    writeFileSync(this.talks, `${JSON.stringify({ messages })}\n`.repeat(8));
  }

  /** Steps that the log of a run knows, in the order that they were written. */
  steps(run: string): number[] {
    const path = join(this.runs, run, "metrics.jsonl");
    if (!existsSync(path)) return [];
    const lines = readFileSync(path, "utf8").split("\n").filter(Boolean);
    return lines
      .map((line) => JSON.parse(line))
      .filter(({ loss }) => loss !== undefined)
      .map(({ step }) => step);
  }

  /** Ends all jobs by a server of theirs, and then as `remove` does. */
  async removeWith(server: RunningServer): Promise<void> {
    for (const run of readdirSync(this.runs)) {
      if (existsSync(join(this.runs, run, "job.log"))) await server.post("/api/jobs/kill", { run });
    }
    await this.remove();
  }
}
