import { z } from "zod";
import { openBackend } from "../backend/index.ts";
import type { NativeBackend } from "../backend/native/index.ts";
import { StemmaError } from "../core/errors.ts";
import { describeMachine, packageVersion } from "../train/machine.ts";
import { defineCommand } from "./command.ts";

/** `stemma env`: what a report of a defect should say about the machine. */
export const env = defineCommand({
  name: "env",
  summary: "print versions, machine and backend, for reports of defects",
  group: "This machine",
  settings: z.object({}),
  async run(_settings, io) {
    const machine = describeMachine();
    const backend = await describeBackend();
    const { name, instructionSet, threads, reason } = backend;
    const rows = {
      stemma: packageVersion(),
      node: machine.node,
      system: `${machine.system} ${machine.architecture}`,
      processor: `${machine.processor}, ${machine.cores} threads`,
      memory: `${(machine.memoryBytes / 2 ** 30).toFixed(1)} GiB`,
      backend: [
        name ?? "none",
        ...(instructionSet === null ? [] : [instructionSet]),
        ...(threads === null ? [] : [`${threads} ${threads === 1 ? "thread" : "threads"}`]),
        ...(reason === null ? [] : [reason]),
      ].join(", "),
    };
    for (const [row, value] of Object.entries(rows)) io.print(`${row.padEnd(12)}${value}`);
    return { stemma: rows.stemma, ...machine, backend };
  },
});

/** What commands compute with. */
interface BackendReport {
  /** Null where none can be opened. */
  readonly name: string | null;
  /** Variant of the native kernels that runs here. */
  readonly instructionSet: string | null;
  readonly threads: number | null;
  /** Why it is not the native one, and what to do about it. */
  readonly reason: string | null;
}

async function describeBackend(): Promise<BackendReport> {
  let reason: string | null = null;
  try {
    const backend = await openBackend({
      onFallback: (message) => {
        reason = message;
      },
    });
    if (backend.name !== "native") return { name: backend.name, instructionSet: null, threads: 1, reason };
    const { instructionSet, threads } = (backend as NativeBackend).machine;
    return { name: backend.name, instructionSet, threads, reason };
  } catch (error) {
    if (!(error instanceof StemmaError)) throw error;
    return { name: null, instructionSet: null, threads: null, reason: error.message };
  }
}
