import type { Hash } from "node:crypto";
import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { lstat, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { systemCode } from "../files/file-error.ts";
import { flushFolder } from "../files/flush.ts";
import { abandonedBy, withTemporary } from "../files/leftovers.ts";
import type { HubFile } from "./list-repository.ts";

/**
 * A file on its way, from its beginning to `length`, and the checksum so far. It belongs to this process alone: what
 * earlier attempts have left is taken over by renaming it, which only one process can do. What does not come to its end
 * is left as `<checksum>.stemma.incomplete`; other programs' `.incomplete` files are theirs, as they may be at them.
 */
export class PartialBlob {
  readonly #handle: FileHandle;
  readonly #file: HubFile;
  #hash: Hash;
  length = 0;

  private constructor(handle: FileHandle, file: HubFile) {
    this.#handle = handle;
    this.#file = file;
    this.#hash = emptyHash(file);
  }

  /** Runs `fill`, which must complete the file, and gives it its name then; whatever happens else, it is kept. */
  static async complete(blob: string, file: HubFile, fill: (partial: PartialBlob) => Promise<void>): Promise<void> {
    await withTemporary(blob, "partial", async (path) => {
      await takeOver(blob, path);
      const handle = await open(path, "r+").catch((error: unknown) => {
        if (systemCode(error) === "ENOENT") return open(path, "wx+");
        throw error;
      });
      try {
        const partial = new PartialBlob(handle, file);
        await partial.#readBack();
        await fill(partial);
        await handle.sync();
      } catch (error) {
        await handle.close();
        await keep(path, `${blob}${keptSuffix}`);
        throw error;
      }
      await handle.close();
      await rename(path, blob);
      await flushFolder(dirname(blob));
    });
  }

  /** Appends. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes);
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, this.length);
      done += bytesWritten;
      this.length += bytesWritten;
    }
  }

  /** Begins again. */
  async clear(): Promise<void> {
    await this.#handle.truncate(0);
    this.#hash = emptyHash(this.#file);
    this.length = 0;
  }

  /** Whether the whole file is what the repository says. */
  get isRight(): boolean {
    return this.length === this.#file.size && this.#hash.copy().digest("hex") === this.#file.hash;
  }

  /** Goes on behind what an earlier attempt has left. */
  async #readBack(): Promise<void> {
    if ((await this.#handle.stat()).size > this.#file.size) await this.clear();
    const buffer = Buffer.allocUnsafe(2 ** 20);
    for (;;) {
      const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, this.length);
      if (bytesRead === 0) return;
      this.#hash.update(buffer.subarray(0, bytesRead));
      this.length += bytesRead;
    }
  }
}

const keptSuffix = ".stemma.incomplete";

/** Bytes of a file that earlier attempts have left, which need not be fetched again. */
export async function bytesKept(blob: string, size: number): Promise<number> {
  const [longest] = await left(blob);
  return longest === undefined || longest.size > size ? 0 : longest.size;
}

/** Git's checksum of a file begins with its length, a large file's is of its bytes alone. */
function emptyHash({ hash, size }: HubFile): Hash {
  return hash.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);
}

/** Gives the longest of what earlier attempts have left the name `path`, if there is any, and deletes the others. */
async function takeOver(blob: string, path: string): Promise<void> {
  let isTaken = false;
  for (const { path: candidate } of await left(blob)) {
    if (isTaken) await rm(candidate, { force: true });
    else isTaken = await renameIfThere(candidate, path);
  }
}

async function left(blob: string): Promise<{ path: string; size: number }[]> {
  const folder = dirname(blob);
  const isKept = (await readdir(folder)).includes(`${basename(blob)}${keptSuffix}`);
  const paths = [...(isKept ? [join(folder, `${basename(blob)}${keptSuffix}`)] : []), ...(await abandonedBy(blob))];
  const found: { path: string; size: number }[] = [];
  for (const path of paths) {
    const entry = await lstat(path).catch(() => null);
    if (entry?.isFile()) found.push({ path, size: entry.size });
  }
  return found.sort((a, b) => b.size - a.size);
}

/** Leaves what was not completed for the next attempt, unless another process has left more. */
async function keep(path: string, kept: string): Promise<void> {
  const [own, other] = await Promise.all([path, kept].map((name) => stat(name).catch(() => null)));
  if (own && own.size > (other?.size ?? 0)) await rename(path, kept).catch(() => {});
  else await rm(path, { force: true }).catch(() => {});
}

async function renameIfThere(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw error;
  }
}
