import { readFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem } from "node:os";

/** What a run was made with, for its record and for reports of defects. */
export interface Machine {
  /** Operating system and its version: `linux 6.1.0`. */
  readonly system: string;
  readonly architecture: string;
  /** Name of the processor. */
  readonly processor: string;
  /** Threads that can run at once. */
  readonly cores: number;
  readonly memoryBytes: number;
  /** Version of Node. */
  readonly node: string;
}

/** The machine this process runs on. */
export function describeMachine(): Machine {
  return {
    system: `${process.platform} ${release()}`,
    architecture: process.arch,
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    node: process.versions.node,
  };
}

/** Version of this package. */
export function packageVersion(): string {
  // Two folders up from src/train as well as from dist/train.
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return (manifest as { version: string }).version;
}
