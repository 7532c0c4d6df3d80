import type { Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { runFiles } from "../../train/run-folder.ts";
import type { PlaceKind } from "../api/job-answers.ts";
import { jobFiles } from "./job-record.ts";

/** Something on the server's disk that a request may name. */
export interface Place {
  /** As it is typed on the command line, from the folder that the server was started in. */
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  readonly kind: PlaceKind;
}

/** What lies in a folder of runs. */
export interface Surveyed {
  readonly places: readonly Place[];
  /** Folders with a job in them, by their path inside the folder. */
  readonly jobs: ReadonlyMap<string, string>;
  /** Folders with a run in them, in the same way. */
  readonly runs: ReadonlyMap<string, string>;
}

/** Folders inside a folder inside … that are looked into. */
const mostDepth = 6;

/** Entries that are looked at, at most: whoever has more says what they mean on the command line. */
const mostEntries = 50_000;

/** Rows, texts, templates. */
const dataEnding = /\.(jsonl|ndjson|json|csv|tsv|parquet|txt|text|md|jinja)(\.gz)?$/i;

/** Files that are a run's or a job's own. */
const ownFiles = new Set<string>([...Object.values(runFiles), ...Object.values(jobFiles)]);

/**
 * What may be named is what is found by looking: models, adapters and files of rows and texts in the folder of runs. Links are
 * not followed, so nothing outside of it is found; what a command line would read otherwise than it is written is left out.
 *
 * @param root - The folder as it was given to the server. One that is not there yet has nothing in it.
 */
export async function survey(root: string): Promise<Surveyed> {
  const found: Found = { places: [], jobs: new Map(), runs: new Map(), left: mostEntries };
  await look(root, "", found);
  return found;
}

interface Found {
  readonly places: Place[];
  readonly jobs: Map<string, string>;
  readonly runs: Map<string, string>;
  /** Entries that are still looked at. */
  left: number;
}

async function look(root: string, inside: string, found: Found, depth = mostDepth): Promise<void> {
  const folder = join(root, inside);
  const entries = await entriesOf(folder);
  found.left -= entries.length;
  const files = new Set(entries.filter((entry) => entry.isFile()).map(({ name }) => name));
  const id = inside.replaceAll("\\", "/") || ".";
  if (files.has(jobFiles.record)) found.jobs.set(id, folder);
  if (files.has(runFiles.settings) || files.has(runFiles.metrics)) found.runs.set(id, folder);
  const kind = files.has("config.json") ? "model" : files.has("adapter_config.json") ? "adapter" : null;
  if (kind !== null) return add(found, folder, kind); // its files are its own
  const data = [...files].filter((name) => dataEnding.test(name) && !ownFiles.has(name));
  for (const name of data.sort()) add(found, join(folder, name), "file");
  const folders = entries.filter((entry) => entry.isDirectory() && isLookedInto(entry.name)).map(({ name }) => name);
  for (const name of folders.sort()) {
    if (depth > 0 && found.left > 0) await look(root, join(inside, name), found, depth - 1);
  }
}

function add({ places }: Found, path: string, kind: PlaceKind): void {
  if (isPlain(path)) places.push({ name: path.replaceAll("\\", "/"), path: resolve(path), kind });
}

function isLookedInto(name: string): boolean {
  return !name.startsWith(".") && name !== "node_modules";
}

/**
 * Whether a command line reads a path as it is written: a comma separates paths, `=` a weight, and others make a glob of it.
 * Characters that are not seen, or turn the order of others, are nothing that one can choose by looking.
 */
function isPlain(path: string): boolean {
  return !/[,=*?[\]{}()!|\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|^-|^hub:/u.test(path);
}

/** A folder that may not be looked into, or is not there, has nothing in it. */
async function entriesOf(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch(() => []);
}
