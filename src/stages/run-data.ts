import { z } from "zod";
import { DataError } from "../core/errors.ts";
import type { FileFingerprint } from "../data/fingerprint.ts";
import { fingerprintFiles } from "../data/fingerprint.ts";
import { resolveSources } from "../data/sources.ts";
import type { RunRecord } from "../train/run-folder.ts";

declare module "zod" {
  interface GlobalMeta {
    /** Whether the values name files of data, which must stay what they are while a run is interrupted. */
    isData?: boolean;
  }
}

const Fingerprint = z.object({
  path: z.string(),
  sizeBytes: z.number(),
  modifiedMs: z.number(),
  sha256: z.string(),
  sampled: z.boolean(),
});
const Fingerprints = z.record(z.string(), z.array(Fingerprint));

/** The files that a run's data settings name, by setting. */
export type RunData = Readonly<Record<string, readonly FileFingerprint[]>>;

/**
 * What identifies the data that settings name.
 *
 * @throws {DataError} when a file is missing.
 */
export async function fingerprintData(
  schema: z.ZodObject,
  settings: Readonly<Record<string, unknown>>,
): Promise<RunData> {
  const data: Record<string, readonly FileFingerprint[]> = {};
  for (const key of dataSettings(schema)) {
    const files = await filesOf(settings[key]);
    if (files.length > 0) data[key] = await fingerprintFiles(files);
  }
  return data;
}

/**
 * Makes sure that a run goes on with the data it began with: a step's batches follow from its number, so other data
 * would silently give another run. A setting that was given another value since is a decision, and is left alone.
 *
 * @param data - What identifies the data now.
 * @param record - What the run says about itself.
 * @param checkpoint - Where it would go on from.
 * @throws {DataError} naming the first file that was changed, added or removed.
 */
export function refuseChangedData(
  data: RunData,
  settings: Readonly<Record<string, unknown>>,
  record: RunRecord,
  checkpoint: string,
): void {
  const known = Fingerprints.safeParse(record.data).data ?? {};
  for (const [key, before] of Object.entries(known)) {
    if (JSON.stringify(record.settings[key]) !== JSON.stringify(settings[key])) continue;
    const change = firstChange(before, data[key] ?? []);
    if (change === null) continue;
    throw new DataError(
      `${change} since this run began; put the data back as it was, or train on what it is now in a new run ` +
        `(--model ${checkpoint})`,
    );
  }
}

function dataSettings(schema: z.ZodObject): string[] {
  return Object.keys(schema.shape).filter((key) => (schema.shape[key] as z.ZodType | undefined)?.meta()?.isData);
}

async function filesOf(value: unknown): Promise<readonly string[]> {
  if (!Array.isArray(value) || value.length === 0) return [];
  return (await resolveSources(value)).flatMap(({ files }) => files);
}

/** The first difference, in words. Contents count, and not where they lie or when they were written. */
function firstChange(before: readonly FileFingerprint[], now: readonly FileFingerprint[]): string | null {
  const has = (files: readonly FileFingerprint[], path: string): boolean => files.some((file) => file.path === path);
  for (let i = 0; i < Math.max(before.length, now.length); i++) {
    const [old, present] = [before[i], now[i]];
    if (old && present?.sizeBytes === old.sizeBytes && present.sha256 === old.sha256) continue;
    if (!present || (old && !has(now, old.path))) return `${old?.path}: is not among the data any more`;
    if (!old || !has(before, present.path)) return `${present.path}: was added to the data`;
    return `${present.path}: was changed (it had ${old.sizeBytes} bytes and has ${present.sizeBytes} now)`;
  }
  return null;
}
