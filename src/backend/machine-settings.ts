import { z } from "zod";
import { openBackend } from "./index.ts";
import type { Backend } from "./kernels.ts";

/** What a command may be told about the machine it computes on, to spread into its schema. */
export const machineSettings = {
  threads: z.int().nonnegative().default(0).describe("threads to compute with; 0 is as many as can run at once").meta({
    group: "Machine",
  }),
  matmulPrecision: z
    .enum(["float32", "bfloat16"])
    .default("float32")
    .describe("numbers that matrix products multiply; sums are float32 always")
    .meta({ group: "Machine" }),
} as const;

/** {@link machineSettings}, checked. */
export type MachineSettings = {
  readonly [Key in keyof typeof machineSettings]: z.output<(typeof machineSettings)[Key]>;
};

/** The backend that settings ask for; `watcher` is told when a slower one has to stand in. */
export async function openMachine(
  { threads, matmulPrecision }: MachineSettings,
  watcher: { note(line: string): void },
): Promise<Backend> {
  const onFallback = (line: string): void => watcher.note(line);
  return openBackend({ threads: threads > 0 ? threads : undefined, matmulPrecision, onFallback });
}
