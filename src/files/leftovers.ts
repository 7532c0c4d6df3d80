import { randomBytes } from "node:crypto";
import { readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isBeingWritten, whileWriting, writerMark } from "./writers.ts";

/**
 * What a temporary name beside a target says about its content:
 * `partial` is being written, `complete` is whole and about to take the target's place, `replaced` is the content that
 * `complete` pushes aside, `removed` is being deleted.
 */
export type LeftoverState = "partial" | "complete" | "replaced" | "removed";

interface Leftover {
  readonly path: string;
  readonly state: LeftoverState;
}

const pattern = /^\.(.+)\.(partial|complete|replaced|removed)-(\d+)\.(\d+)-[0-9a-f]{12}$/;

/**
 * Runs `body` with a temporary name beside `target`: hidden, recognisable after a crash, and marked with its owner so
 * that no other process takes it for a leftover meanwhile.
 */
export async function withTemporary<Result>(
  target: string,
  state: LeftoverState,
  body: (path: string) => Promise<Result>,
): Promise<Result> {
  const suffix = `${writerMark()}-${randomBytes(6).toString("hex")}`;
  const path = join(dirname(target), `.${basename(target)}.${state}-${suffix}`);
  return whileWriting(path, () => body(path));
}

/** Whether a file name is one of ours for something unfinished. */
export function isTemporaryName(name: string): boolean {
  return pattern.test(name);
}

/** The targets in `folder` of names like `like` for which a temporary name exists, its writer dead or alive. */
export async function unfinishedTargets(folder: string, like: RegExp): Promise<string[]> {
  const names = (await readdir(folder)).flatMap((name) => pattern.exec(name)?.[1] ?? []);
  return [...new Set(names)].filter((name) => like.test(name)).map((name) => join(folder, name));
}

/**
 * Cleans up after writers of `target` that died: finishes a replacement that was interrupted between its two renames,
 * and deletes everything that was incomplete or superseded. Names of writers still alive are left alone.
 */
export async function settle(target: string, targetExists: boolean): Promise<void> {
  const leftovers = await abandoned(target);
  const successor = targetExists
    ? undefined
    : (leftovers.find(({ state }) => state === "complete") ?? leftovers.find(({ state }) => state === "replaced"));
  if (successor) await rename(successor.path, target);
  for (const leftover of leftovers) {
    if (leftover !== successor) await rm(leftover.path, { recursive: true, force: true });
  }
}

/** Paths of the unfinished contents of `target` whose writers have died. */
export async function abandonedBy(target: string): Promise<string[]> {
  return (await abandoned(target)).filter(({ state }) => state === "partial").map(({ path }) => path);
}

async function abandoned(target: string): Promise<Leftover[]> {
  const folder = dirname(target);
  const leftovers: Leftover[] = [];
  for (const name of await readdir(folder)) {
    const match = pattern.exec(name);
    if (match?.[1] !== basename(target)) continue;
    const path = join(folder, name);
    if (!isBeingWritten(path, Number(match[3]), Number(match[4]))) {
      leftovers.push({ path, state: match[2] as LeftoverState });
    }
  }
  return leftovers;
}
