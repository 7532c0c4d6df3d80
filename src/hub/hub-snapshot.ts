import { readdir, readFile, stat } from "node:fs/promises";
import { isAbsolute, join, relative } from "node:path";
import { writeFileAtomic } from "../files/atomic-write.ts";
import { buildFolder } from "../files/build-folder.ts";
import { fileError, systemCode } from "../files/file-error.ts";
import { isGgufPath } from "../files/gguf-path.ts";
import { linkAtomic } from "../files/link-atomic.ts";
import { makeFolder } from "../files/make-folder.ts";
import type { ModelPart } from "./choose-files.ts";
import type { HubReference } from "./hub-reference.ts";
import { formatHubReference, hubPrefix, isCommit } from "./hub-reference.ts";
import type { HubFile } from "./list-repository.ts";

/**
 * One repository in the cache of `huggingface_hub`: contents in `blobs/` under their checksum, for every commit a folder
 * of links to them in `snapshots/`, in `refs/` the commit that a branch or tag stood for when it was last asked for, and
 * in `.no_exist/` for every commit an empty file by the name of each that the repository was found not to have.
 */
export interface RepositoryCache {
  readonly folder: string;
  readonly blobs: string;
  readonly snapshots: string;
  readonly refs: string;
  readonly absent: string;
}

/** Where a repository is in a cache. */
export function repositoryCache(cache: string, name: string): RepositoryCache {
  const folder = join(cache, `models--${name.replaceAll("/", "--")}`);
  return {
    folder,
    blobs: join(folder, "blobs"),
    snapshots: join(folder, "snapshots"),
    refs: join(folder, "refs"),
    absent: join(folder, ".no_exist"),
  };
}

/** The commit that a revision stood for when someone last asked the hub, or null. */
export async function cachedCommit({ refs }: RepositoryCache, revision: string): Promise<string | null> {
  if (isCommit(revision)) return revision;
  const path = join(refs, ...revision.split("/"));
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    if (["ENOENT", "ENOTDIR", "EISDIR"].includes(systemCode(error) ?? "")) return "";
    throw fileError(path, "read", error);
  });
  return isCommit(text.trim()) ? text.trim() : null;
}

/**
 * What a command can open of a snapshot: the file that is asked for, the folder of the model, or its only GGUF file.
 * Null where a part is missing, such as when another program has fetched only some files.
 */
export async function openable(
  snapshot: string,
  { file }: Pick<HubReference, "file">,
  part: ModelPart,
): Promise<string | null> {
  if (file !== null) return (await isThere(join(snapshot, file))) ? join(snapshot, file) : null;
  const names = new Set(await readdir(snapshot).catch(() => []));
  const has = (...wanted: readonly string[]): Promise<boolean> => anyThere(snapshot, wanted, names);
  const models = ["tokenizer.model", "spiece.model", "sentencepiece.bpe.model"];
  const hasTokenizer = await has("tokenizer.json", "vocab.json", "vocab.txt", ...models);
  if (part === "tokenizer" && hasTokenizer) return snapshot;
  const isModel = await has("config.json", "adapter_config.json");
  const hasWeights = (await has("model.safetensors", "adapter_model.safetensors")) || (await hasAllShards(snapshot));
  if (isModel && hasWeights) return snapshot;
  const ggufs = [...names].filter(isGgufPath);
  const [gguf] = ggufs;
  return gguf !== undefined && ggufs.length === 1 && (await isThere(join(snapshot, gguf)))
    ? join(snapshot, gguf)
    : null;
}

/** Files of which a repository that is opened as a folder has one. */
const folderWeights = ["model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors"] as const;

/**
 * Keeps that a commit has weights in no other form than GGUF: a snapshot alone does not tell, which may have been pulled
 * for that one file.
 *
 * @throws {FileError} when the place is not writable.
 */
export async function markOnlyGguf({ absent }: RepositoryCache, commit: string): Promise<void> {
  await makeFolder(join(absent, commit));
  for (const name of folderWeights) await writeFileAtomic(join(absent, commit, name), "");
}

/** Whether a commit is known to have no weights but GGUF, from {@link markOnlyGguf} or from another program's look-ups. */
export async function isOnlyGguf({ absent }: RepositoryCache, commit: string): Promise<boolean> {
  for (const name of folderWeights) if (!(await isThere(join(absent, commit, name)))) return false;
  return true;
}

/** Names of the files that an index of shards distributes a model over; null where it is none. */
export async function shardsOf(index: string): Promise<readonly string[] | null> {
  try {
    const { weight_map: map } = JSON.parse(await readFile(index, "utf8")) as { weight_map: Record<string, unknown> };
    return [...new Set(Object.values(map).map(String))];
  } catch {
    return null;
  }
}

/**
 * Makes files of a commit visible once their blobs are there: a new snapshot is complete or absent, and one that another
 * program began gets what it lacks, weights first.
 *
 * @throws {FileError} when the disk is full or the place is not writable.
 */
export async function linkSnapshot(
  { folder, snapshots }: RepositoryCache,
  commit: string,
  files: readonly HubFile[],
): Promise<string> {
  const snapshot = join(snapshots, commit);
  const link = async (root: string, { path, hash, size }: HubFile): Promise<void> => {
    const target = join(root, path);
    if ((await sizeOf(target)) === size) return;
    await makeFolder(join(target, ".."));
    await linkAtomic(join(folder, "blobs", hash), target);
  };
  if (!(await isThere(snapshot))) {
    await buildFolder(snapshot, async (root) => {
      for (const file of files) await link(root, file);
    });
  }
  const configLast = files.toSorted((a, b) => Number(a.path === "config.json") - Number(b.path === "config.json"));
  for (const file of configLast) await link(snapshot, file);
  return snapshot;
}

/**
 * A path inside a snapshot of the cache as the reference that means the same on every machine, `hub:ORG/NAME@commit`;
 * any other path as it is.
 */
export function asHubReference(path: string, cache: string): string {
  const inside = relative(cache, path);
  if (inside.startsWith("..") || isAbsolute(inside)) return path;
  const [folder = "", snapshots, revision = "", ...rest] = inside.split(/[\\/]/);
  if (!folder.startsWith("models--") || snapshots !== "snapshots" || !isCommit(revision)) return path;
  const name = folder.slice("models--".length).replace("--", "/");
  return `${hubPrefix}${formatHubReference({ name, revision, file: rest.length === 0 ? null : rest.join("/") })}`;
}

async function hasAllShards(snapshot: string): Promise<boolean> {
  const shards = await shardsOf(join(snapshot, "model.safetensors.index.json"));
  if (shards === null || shards.length === 0) return false;
  for (const shard of shards) if (!(await isThere(join(snapshot, shard)))) return false;
  return true;
}

async function anyThere(folder: string, wanted: readonly string[], names: ReadonlySet<string>): Promise<boolean> {
  for (const name of wanted) if (names.has(name) && (await isThere(join(folder, name)))) return true;
  return false;
}

async function isThere(path: string): Promise<boolean> {
  return (await sizeOf(path)) !== null;
}

/** Bytes of what a path leads to, or null where it leads nowhere. */
export async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(error) ?? "")) return null;
    throw fileError(path, "read", error);
  }
}
