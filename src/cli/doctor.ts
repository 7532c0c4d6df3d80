import { z } from "zod";
import type { CheckResult } from "../stages/doctor/check.ts";
import { examine } from "../stages/doctor/index.ts";
import { defineCommand } from "./command.ts";

/** `stemma doctor`: proves the installation on this machine. */
export const doctor = defineCommand({
  name: "doctor",
  summary: "prove that this installation computes, saves and resumes correctly",
  group: "This machine",
  settings: z.object({
    output: z
      .string()
      .min(1)
      .default("runs")
      .describe("folder that runs will be written to; its disk is tried")
      .meta({ placeholder: "folder" }),
    threads: z.int().nonnegative().default(0).describe("threads to compute with; 0 is as many as can run at once"),
  }),
  examples: ["stemma doctor", "stemma doctor --output /data/runs --json"],
  async run(settings, io) {
    const start = performance.now();
    const checks = await examine(settings, (result) => io.print(line(result)));
    const seconds = (performance.now() - start) / 1000;
    const failed = checks.filter(({ status }) => status === "failed");
    io.print(
      failed.length === 0
        ? `all is well, after ${seconds.toFixed(1)} s`
        : `${failed.length} of ${checks.length} checks failed (${failed.map(({ name }) => name).join(", ")}); ` +
            "follow the advice above, or report it with the output of stemma env",
    );
    if (failed.length > 0) io.fail();
    return { ok: failed.length === 0, seconds, checks };
  },
});

function line({ name, status, detail }: CheckResult): string {
  return `${status.padEnd(8)} ${name.padEnd(22)} ${detail.split("\n").join(" ")}`;
}
