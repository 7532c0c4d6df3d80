import { z } from "zod";
import { describeMachine, packageVersion } from "../train/machine.ts";
import { defineCommand } from "./command.ts";

/** `stemma env`: what a report of a defect should say about the machine. */
export const env = defineCommand({
  name: "env",
  summary: "print versions and machine, for reports of defects",
  group: "This machine",
  settings: z.object({}),
  async run(_settings, io) {
    const machine = describeMachine();
    const rows = {
      stemma: packageVersion(),
      node: machine.node,
      system: `${machine.system} ${machine.architecture}`,
      processor: `${machine.processor}, ${machine.cores} threads`,
      memory: `${(machine.memoryBytes / 2 ** 30).toFixed(1)} GiB`,
    };
    for (const [name, value] of Object.entries(rows)) io.print(`${name.padEnd(12)}${value}`);
    return { stemma: rows.stemma, ...machine };
  },
});
