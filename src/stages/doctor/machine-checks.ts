import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import type { NativeMachine } from "../../backend/native/index.ts";
import { nativeInstructionSets, openNative } from "../../backend/native/index.ts";
import { UnsupportedError } from "../../core/errors.ts";
import type { Check } from "./check.ts";
import { Skipped } from "./check.ts";

/** Why checks of the native backend are skipped where there is none. */
export const withoutNative = new Skipped("the native backend is not there");

/** Whether this Node is new enough. */
export const nodeCheck: Check = {
  name: "Node.js",
  async run() {
    const needed = neededNode();
    const { node } = process.versions;
    if (compareVersions(node, needed) >= 0) return `${node}; ${needed} or newer is needed`;
    throw new UnsupportedError(`${node} is too old; install ${needed} or newer`);
  },
};

/** Whether the native backend is built and loads, and what this processor can run of it. */
export const addonCheck: Check = {
  name: "native backend",
  async run() {
    const opened = openNative();
    if (opened.backend === null) {
      throw new UnsupportedError(`${opened.reason}; until then everything is computed very much slower`);
    }
    const [best, ...others] = nativeInstructionSets();
    return `loaded; runs ${best}${others.length > 0 ? `, could run ${others.join(", ")}` : ""}`;
  },
};

/** How many threads compute, and how fast the machine is at best. */
export const speedCheck: Check = {
  name: "speed of the machine",
  async run({ threads }) {
    const { backend } = openNative({ threads });
    if (backend === null) return withoutNative;
    const { machine } = backend;
    const rates = [measure(machine, "float32"), measure(machine, "bfloat16")];
    const bandwidth = machine.readBandwidth(machine.threads, 0.2);
    if (![...rates, bandwidth].every((rate) => Number.isFinite(rate) && rate > 0)) {
      throw new UnsupportedError(`measured ${rates.join(" and ")} operations and ${bandwidth} bytes a second`);
    }
    const [float32 = "", bfloat16 = ""] = rates.map((rate) => (rate / 1e9).toFixed(0));
    return (
      `${machine.threads} threads on ${availableParallelism()} cores: float32 ${float32} GFLOP/s, bfloat16 ${bfloat16} ` +
      `GFLOP/s${machine.hasBfloat16Products ? "" : " (no instruction for it)"}, memory ${(bandwidth / 1e9).toFixed(0)} GB/s`
    );
  },
};

function measure(machine: NativeMachine, precision: "float32" | "bfloat16"): number {
  return machine.peak(precision, machine.threads, 0.2);
}

/** The oldest Node that the package declares to work with. */
function neededNode(): string {
  // Three folders up from src/stages/doctor as well as from dist/stages/doctor.
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8"));
  return (manifest as { engines: { node: string } }).engines.node.replace(/^>=\s*/, "");
}

/** Negative, 0 or positive as `a` is older than, the same as, or newer than `b`. */
export function compareVersions(a: string, b: string): number {
  const numbers = (version: string): number[] => version.split(".").map((part) => Number.parseInt(part, 10) || 0);
  const [left, right] = [numbers(a), numbers(b)];
  const differs = [0, 1, 2].find((i) => (left[i] ?? 0) !== (right[i] ?? 0)) ?? 0;
  return (left[differs] ?? 0) - (right[differs] ?? 0);
}
