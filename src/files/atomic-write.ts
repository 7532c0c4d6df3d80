import type { FileHandle } from "node:fs/promises";
import { mkdir, open, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { FileError } from "../core/errors.ts";
import { fileError, systemCode } from "./file-error.ts";
import { flushFolder, flushTree } from "./flush.ts";
import { settle, withTemporary } from "./leftovers.ts";
import { makeFolder } from "./make-folder.ts";

/**
 * Contents of a file, piece by piece. A piece is on disk before the next one is asked for, so a producer may use the
 * same memory again.
 */
export type Chunks = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/**
 * Writes a file so that, whatever moment the process is killed or the disk fills up, the path holds either its old
 * contents or all of the new ones: temporary name beside the target, flushed, renamed. Makes missing parent folders.
 *
 * @throws {FileError} when the disk is full, the place is not writable or the path is a folder.
 */
export async function writeFileAtomic(path: string, contents: string | Uint8Array | Chunks): Promise<void> {
  await replace(path, async (partial, target) => {
    await writeStream(partial, contents, true);
    await rename(partial, target);
  });
}

/**
 * Writes a whole folder so that it is complete or absent: `fill` writes into a temporary folder beside the target,
 * which is flushed and then takes the target's name. An existing folder is replaced, and stays whole until then;
 * a replacement interrupted between its two renames is finished by {@link recoverFolder}.
 *
 * @throws {FileError} when the disk is full, the place is not writable or the path is a file.
 */
export async function writeFolderAtomic(path: string, fill: (folder: string) => Promise<void>): Promise<void> {
  await replace(path, async (partial, target) => {
    await mkdir(partial);
    await fill(partial);
    await flushTree(partial);
    await install(partial, target);
  });
}

/** Makes new contents under a temporary name, which `write` gives the target's name; whatever fails leaves nothing behind. */
async function replace(path: string, write: (partial: string, target: string) => Promise<void>): Promise<void> {
  try {
    const target = await prepare(path);
    await withTemporary(target, "partial", async (partial) => {
      try {
        await write(partial, target);
      } catch (error) {
        await discard(partial);
        throw error;
      }
    });
    await flushFolder(dirname(target));
  } catch (error) {
    throw fileError(path, "write", error);
  }
}

/** Deletes a folder so that, whatever moment the process is killed, the path holds all of it or nothing. */
export async function removeFolderAtomic(path: string): Promise<void> {
  try {
    await withTemporary(resolve(path), "removed", async (removed) => {
      await rename(path, removed);
      await rm(removed, { recursive: true });
    });
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw fileError(path, "write", error);
  }
}

/**
 * Finishes what a killed process left half done at `path`: a folder whose replacement was interrupted comes back, as
 * the new one if that was complete; incomplete leftovers are deleted. Writers do this by themselves, readers call it
 * when the folder is missing.
 *
 * @throws {FileError} when the parent folder cannot be read or changed.
 */
export async function recoverFolder(path: string): Promise<void> {
  const target = await resolveLinks(path);
  if (!(await kindOf(dirname(target)))) return;
  try {
    await settle(target, (await kindOf(target)) !== null);
  } catch (error) {
    throw fileError(path, "write", error);
  }
}

/** Writes a file piece by piece, with no protection against being interrupted: for files in a folder being filled. */
export async function writeStream(path: string, contents: string | Uint8Array | Chunks, flush = false): Promise<void> {
  const file = await open(path, "wx");
  try {
    if (typeof contents === "string") await writeFully(file, Buffer.from(contents));
    else if (contents instanceof Uint8Array) await writeFully(file, contents);
    else for await (const chunk of contents) await writeFully(file, chunk);
    if (flush) await file.sync();
  } finally {
    await file.close();
  }
}

async function writeFully(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    // Linux writes at most 2 GiB at once.
    const { bytesWritten } = await file.write(bytes, done, Math.min(bytes.byteLength - done, 2 ** 30));
    done += bytesWritten;
  }
}

/** Where a path really lies, with its parent folder made and leftovers of dead writers cleaned up. */
async function prepare(path: string): Promise<string> {
  const target = await resolveLinks(path);
  await makeFolder(dirname(target));
  await settle(target, (await kindOf(target)) !== null);
  return target;
}

async function resolveLinks(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return resolve(path);
    throw fileError(path, "read", error);
  }
}

/** Gives a complete folder the target's name. At every moment one of the two is whole, under a name we recognise. */
async function install(folder: string, target: string): Promise<void> {
  const kind = await kindOf(target);
  if (kind === "file") throw new FileError(`${target}: is a file, not a folder; remove it or choose another name`);
  if (kind === null) return rename(folder, target);
  await withTemporary(target, "complete", (complete) =>
    withTemporary(target, "replaced", async (replaced) => {
      await rename(folder, complete);
      try {
        await rename(target, replaced);
        await rename(complete, target);
      } catch (error) {
        await putBack(replaced, target);
        await discard(complete);
        throw error;
      }
      await flushFolder(dirname(target));
      // The new folder is in place: what cannot be deleted now is deleted by the next writer.
      await discard(replaced);
    }),
  );
}

async function putBack(replaced: string, target: string): Promise<void> {
  if ((await kindOf(replaced)) && !(await kindOf(target))) await rename(replaced, target);
}

/** Deletes after a failure, whose own error must not be hidden by one from here. */
async function discard(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch(() => {});
}

async function kindOf(path: string): Promise<"file" | "folder" | null> {
  try {
    return (await stat(path)).isDirectory() ? "folder" : "file";
  } catch (error) {
    if (systemCode(error) === "ENOENT") return null;
    throw error;
  }
}
