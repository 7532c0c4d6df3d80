import { formatBytes } from "../core/byte-size.ts";
import { SettingsError } from "../core/errors.ts";
import type { Flag } from "../core/flags.ts";
import { nameOf } from "../core/flags.ts";
import { isHubReference } from "../hub/hub-reference.ts";
import type { PulledModel, PullOptions } from "../hub/pull-model.ts";
import type { Io } from "./command.ts";
import type { Progress } from "./progress.ts";

/** What showing and stopping a download takes. */
export type HubIo = Pick<Io, "note" | "progress" | "stopSignal">;

/**
 * Settings whose paths that are models of the hub, `hub:ORG/NAME`, are paths in its cache, fetched if they are not there.
 *
 * @throws {SettingsError} when one is where something is to be written.
 */
export async function withHubModels(
  values: Readonly<Record<string, unknown>>,
  flags: readonly Flag[],
  io: HubIo,
): Promise<Record<string, unknown>> {
  const open = async (value: unknown, flag: Flag): Promise<unknown> => {
    if (Array.isArray(value)) return mapInOrder(value, (entry) => open(entry, flag));
    if (typeof value !== "string" || !isHubReference(value)) return value;
    if (flag.key === "output") {
      throw new SettingsError(`${nameOf(flag)}: ${value} is read from the hub, not written to it; give a path`);
    }
    const { openHubModel } = await import("../hub/pull-model.ts");
    const part = flag.key === "tokenizer" ? "tokenizer" : "model";
    return (await showPull(io, (options) => openHubModel(value, { ...options, part }))).path;
  };
  const resolved = { ...values };
  for (const flag of flags)
    if (flag.isPath && flag.key in values) resolved[flag.key] = await open(values[flag.key], flag);
  return resolved;
}

/** Shows how much of a model is there while it is fetched, and stops at a signal; nothing when nothing is fetched. */
export async function showPull(io: HubIo, pull: (options: PullOptions) => Promise<PulledModel>): Promise<PulledModel> {
  const shown: { progress?: Progress } = {};
  const signal = io.stopSignal();
  const report = (done: number, total: number, file: string): void => {
    if (file === "") return;
    shown.progress ??= io.progress({ title: "pull", total, start: done, count: formatBytes });
    shown.progress.update(done, [file]);
  };
  try {
    return await pull({ signal, report });
  } catch (error) {
    if (signal.aborted) io.note("stopped; what was fetched stays, and the same command goes on from there");
    throw error;
  } finally {
    shown.progress?.stop();
  }
}

async function mapInOrder(items: readonly unknown[], of: (item: unknown) => Promise<unknown>): Promise<unknown[]> {
  const results: unknown[] = [];
  for (const item of items) results.push(await of(item));
  return results;
}
