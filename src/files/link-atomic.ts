import { link, rename, rm, symlink } from "node:fs/promises";
import { dirname, relative } from "node:path";
import { fileError, systemCode } from "./file-error.ts";
import { withTemporary } from "./leftovers.ts";

/**
 * Makes `path` lead to a file, replacing what is there at once: by a symbolic link that stays right when both are moved
 * together, or a hard link where the system grants no symbolic ones, as Windows does not to everyone.
 *
 * @throws {FileError} when the place is not writable.
 */
export async function linkAtomic(file: string, path: string): Promise<void> {
  try {
    await withTemporary(path, "partial", async (partial) => {
      try {
        await symlink(relative(dirname(path), file), partial).catch((error: unknown) => {
          if (!["EPERM", "ENOSYS", "ENOTSUP"].includes(systemCode(error) ?? "")) throw error;
          return link(file, partial);
        });
        await rename(partial, path);
      } catch (error) {
        await rm(partial, { force: true });
        throw error;
      }
    });
  } catch (error) {
    throw fileError(path, "write", error);
  }
}
