import { open } from "node:fs/promises";
import { CheckpointError } from "../core/errors.ts";
import { fileError } from "../files/file-error.ts";
import type { ByteSource } from "./byte-source.ts";
import { endsEarly } from "./byte-source.ts";

/**
 * Opens a file for reads at any position. It stays the same file until closed, whatever takes its name meanwhile.
 *
 * @throws {FileError} when there is no such file, or it cannot be read.
 */
export async function openFile(path: string): Promise<ByteSource> {
  try {
    const file = await open(path, "r");
    const stats = await file.stat();
    if (!stats.isFile()) {
      await file.close();
      throw new CheckpointError(`${path}: is not a file; check the path`);
    }
    return {
      name: path,
      sizeBytes: stats.size,
      version: [path, stats.dev, stats.ino, stats.size, stats.mtimeMs, stats.ctimeMs].join(" "),
      read: async (into, position) => {
        for (let done = 0; done < into.byteLength; ) {
          // Linux reads at most 2 GiB at once.
          const length = Math.min(into.byteLength - done, 2 ** 30);
          const { bytesRead } = await file.read(into, done, length, position + done).catch((error: unknown) => {
            throw fileError(path, "read", error);
          });
          if (bytesRead === 0) throw endsEarly(path, stats.size, position + into.byteLength);
          done += bytesRead;
        }
      },
      close: () => file.close(),
    };
  } catch (error) {
    throw fileError(path, "read", error);
  }
}
