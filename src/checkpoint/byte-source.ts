import { open } from "node:fs/promises";
import { CheckpointError } from "../core/errors.ts";
import { fileError } from "../files/file-error.ts";

/** Bytes converted at a time: large enough to be fast, small enough to stay in the cache. */
export const pieceBytes = 1 << 20;

/** Bytes that can be read at any position: a file, or memory. */
export interface ByteSource {
  /** How messages name it; for a file its path. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Fills `into` with the bytes from `position` on. Throws a CheckpointError when there are too few. */
  read(into: Uint8Array, position: number): Promise<void>;
  close(): Promise<void>;
}

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

/** Bytes in memory as a source. */
export function memorySource(bytes: Uint8Array, name = "memory"): ByteSource {
  return {
    name,
    sizeBytes: bytes.byteLength,
    read: async (into, position) => {
      const part = bytes.subarray(position, position + into.byteLength);
      if (part.byteLength < into.byteLength) throw endsEarly(name, bytes.byteLength, position + into.byteLength);
      into.set(part);
    },
    close: async () => {},
  };
}

/**
 * Reads `units` of `unitBytes` each, a million bytes at a time into one small buffer, handing out the raw bytes with the
 * number of their first unit.
 */
export async function readInPieces(
  source: ByteSource,
  region: { readonly begin: number; readonly units: number; readonly unitBytes: number },
  take: (raw: Uint8Array, first: number) => void,
): Promise<void> {
  const { begin, units, unitBytes } = region;
  const atOnce = Math.min(units, Math.floor(pieceBytes / unitBytes));
  const buffer = new Uint8Array(atOnce * unitBytes);
  for (let first = 0; first < units; first += atOnce) {
    const raw = buffer.subarray(0, Math.min(atOnce, units - first) * unitBytes);
    await source.read(raw, begin + first * unitBytes);
    take(raw, first);
  }
}

function endsEarly(name: string, sizeBytes: number, end: number): CheckpointError {
  return new CheckpointError(
    `${name}: ends early: bytes up to ${end} were asked for, it had ${sizeBytes}; it is truncated or being overwritten, fetch it again`,
  );
}
