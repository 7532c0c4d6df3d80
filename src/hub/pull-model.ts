import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { formatBytes } from "../core/byte-size.ts";
import { FileError, NetworkError } from "../core/errors.ts";
import { writeFileAtomic } from "../files/atomic-write.ts";
import { fileError } from "../files/file-error.ts";
import { isGgufPath } from "../files/gguf-path.ts";
import { makeFolder } from "../files/make-folder.ts";
import type { ModelPart } from "./choose-files.ts";
import { chooseFiles } from "./choose-files.ts";
import { fetchBlob } from "./fetch-blob.ts";
import type { HubPatience } from "./hub-connection.ts";
import { HubConnection } from "./hub-connection.ts";
import type { HubReference } from "./hub-reference.ts";
import { formatHubReference, isCommit, parseHubReference } from "./hub-reference.ts";
import type { HubSettings } from "./hub-settings.ts";
import { hubSettings } from "./hub-settings.ts";
import type { RepositoryCache } from "./hub-snapshot.ts";
import {
  cachedCommit,
  isOnlyGguf,
  linkSnapshot,
  markOnlyGguf,
  openable,
  repositoryCache,
  shardsOf,
  sizeOf,
} from "./hub-snapshot.ts";
import type { HubFile, Repository } from "./list-repository.ts";
import { listRepository } from "./list-repository.ts";
import { bytesKept } from "./partial-blob.ts";

/** How a model is fetched. */
export interface PullOptions {
  /** What the environment says, unless given. */
  readonly settings?: HubSettings;
  /** All of the model unless given. */
  readonly part?: ModelPart;
  readonly patience?: HubPatience;
  /** Ends it with its reason as the error; what was fetched stays for the next attempt. */
  readonly signal?: AbortSignal;
  /** Told how many of all bytes are there, and which file they are of. */
  readonly report?: (done: number, total: number, file: string) => void;
}

/** A model that is in the cache. */
export interface PulledModel {
  /** What every command takes as `--model`: a folder, or a GGUF file. */
  readonly path: string;
  readonly name: string;
  readonly commit: string;
  /** Bytes that had to be fetched. */
  readonly fetched: number;
}

/**
 * The files of a model repository, `ORG/NAME[@revision][:file]`, as the hub has them now: what is not in the cache yet
 * is fetched, checked and put there, where `huggingface_hub` finds it, too. Offline, what is in the cache.
 *
 * @throws {SettingsError} when the reference, or what the environment says, is wrong.
 * @throws {NetworkError} when the hub is not reached, refuses, or sends something else.
 * @throws {UnsupportedError} when the repository has no weights that can be read safely.
 * @throws {FileError} when there is no room, or the cache is not writable.
 */
export async function pullModel(text: string, options: PullOptions = {}): Promise<PulledModel> {
  const reference = parseHubReference(text);
  const { settings = await hubSettings(), part = "model", patience, signal } = options;
  const cache = repositoryCache(settings.cache, reference.name);
  if (settings.isOffline) return offline(reference, cache, part);
  const connection = new HubConnection(settings, patience, signal);
  const repository = await listRepository(connection, reference);
  const files = chooseFiles(repository, reference, part);
  const fetched = await fetchAll(connection, repository, files, cache, options);
  const snapshot = await linkSnapshot(cache, repository.commit, files);
  if (reference.file === null && files.every(({ path }) => isGgufPath(path)))
    await markOnlyGguf(cache, repository.commit);
  if (!isCommit(reference.revision)) {
    await writeFileAtomic(join(cache.refs, ...reference.revision.split("/")), repository.commit);
  }
  const path = (await openable(snapshot, reference, part)) ?? snapshot;
  return { path, name: reference.name, commit: repository.commit, fetched };
}

/**
 * A model of the hub without asking it where the cache has all of it, and pulled where not.
 *
 * @throws {StemmaError} as {@link pullModel} does.
 */
export async function openHubModel(text: string, options: PullOptions = {}): Promise<PulledModel> {
  const reference = parseHubReference(text);
  const { settings = await hubSettings(), part = "model" } = options;
  const cache = repositoryCache(settings.cache, reference.name);
  const found = await inCache(reference, cache, part);
  if (found === null || !(await isWhole(found, reference, cache))) return pullModel(text, { ...options, settings });
  return found;
}

/** Whether what was found is what the hub would give: a GGUF file that nobody named may have been pulled by its name. */
async function isWhole(
  { path, commit }: PulledModel,
  { file }: HubReference,
  cache: RepositoryCache,
): Promise<boolean> {
  return file !== null || !isGgufPath(path) || isOnlyGguf(cache, commit);
}

async function inCache(reference: HubReference, cache: RepositoryCache, part: ModelPart): Promise<PulledModel | null> {
  const commit = await cachedCommit(cache, reference.revision);
  const path = commit === null ? null : await openable(join(cache.snapshots, commit), reference, part);
  return commit === null || path === null ? null : { path, name: reference.name, commit, fetched: 0 };
}

async function offline(reference: HubReference, cache: RepositoryCache, part: ModelPart): Promise<PulledModel> {
  const found = await inCache(reference, cache, part);
  if (found !== null) return found;
  const where = formatHubReference(reference);
  throw new NetworkError(
    `${where}: is not in the cache (${cache.folder}), and HF_HUB_OFFLINE forbids to fetch it; unset it, or run stemma pull ${where} with a network`,
  );
}

/** Fetches the contents that are missing; the number of their bytes. */
async function fetchAll(
  connection: HubConnection,
  repository: Repository,
  files: readonly HubFile[],
  cache: RepositoryCache,
  { report }: PullOptions,
): Promise<number> {
  await makeFolder(cache.blobs);
  const missing: HubFile[] = [];
  let kept = 0;
  for (const file of files) {
    const blob = join(cache.blobs, file.hash);
    const isTwice = missing.some(({ hash }) => hash === file.hash);
    if (isTwice || (await sizeOf(blob)) === file.size) continue;
    missing.push(file);
    kept += await bytesKept(blob, file.size);
  }
  const total = sum(files);
  const needed = sum(missing) - kept;
  await refuseFull(repository.name, cache.folder, needed);
  let before = total - sum(missing);
  report?.(before, total, missing[0]?.path ?? "");
  for (const file of smallFirst(missing)) {
    const blob = join(cache.blobs, file.hash);
    const show = (bytes: number): void => report?.(before + bytes, total, file.path);
    await fetchBlob(connection, repository, file, blob, show).catch((error: unknown) => {
      throw fileError(blob, "write", error);
    });
    before += file.size;
    if (file.path.endsWith(".safetensors.index.json")) await refuseMissingShards(repository, files, blob);
  }
  return needed;
}

/** What is wrong with a description, such as shards that are not there, is found before the weights are fetched. */
function smallFirst(files: readonly HubFile[]): readonly HubFile[] {
  const isWeights = ({ path }: HubFile): boolean => /\.(safetensors|gguf)$/i.test(path);
  return files.toSorted((a, b) => Number(isWeights(a)) - Number(isWeights(b)));
}

async function refuseMissingShards({ name }: Repository, files: readonly HubFile[], index: string): Promise<void> {
  const shards = await shardsOf(index);
  const missing = shards?.find((shard) => files.every(({ path }) => path !== shard));
  if (shards !== null && missing === undefined) return;
  const what = shards === null ? "is no index of tensors" : `names ${missing}, which the repository does not have`;
  throw new NetworkError(`${name}: model.safetensors.index.json ${what}; choose another revision`);
}

async function refuseFull(name: string, folder: string, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (needed <= free) return;
  throw new FileError(
    `${name}: ${formatBytes(needed)} are to be fetched and ${folder} has ${formatBytes(free)} free; free some space, or choose another place with HF_HUB_CACHE`,
  );
}

function sum(files: readonly HubFile[]): number {
  return files.reduce((total, { size }) => total + size, 0);
}
