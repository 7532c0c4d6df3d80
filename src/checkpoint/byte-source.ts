import { CheckpointError } from "../core/errors.ts";

/** Bytes converted at a time: large enough to be fast, small enough to stay in the cache. */
export const pieceBytes = 1 << 20;

/** Pieces but the last are a multiple of so many units, so that they can be cut into the blocks of any other format. */
const wholeUnits = 256;

/** Bytes that can be read at any position: a file, or memory. */
export interface ByteSource {
  /** How messages name it; for a file its path. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Another text for every file and every change of it; absent where that is not known. */
  readonly version?: string;
  /** Fills `into` with the bytes from `position` on. Throws a CheckpointError when there are too few. */
  read(into: Uint8Array, position: number): Promise<void>;
  close(): Promise<void>;
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
  take: (raw: Uint8Array, first: number) => Promise<void> | void,
): Promise<void> {
  const { begin, units, unitBytes } = region;
  const most = Math.floor(pieceBytes / unitBytes);
  const atOnce = Math.min(units, most > wholeUnits ? most - (most % wholeUnits) : most);
  const buffer = new Uint8Array(atOnce * unitBytes);
  for (let first = 0; first < units; first += atOnce) {
    const raw = buffer.subarray(0, Math.min(atOnce, units - first) * unitBytes);
    await source.read(raw, begin + first * unitBytes);
    await take(raw, first);
  }
}

/** What to throw when bytes up to `end` are asked for of a source that has fewer. */
export function endsEarly(name: string, sizeBytes: number, end: number): CheckpointError {
  return new CheckpointError(
    `${name}: ends early: bytes up to ${end} were asked for, it had ${sizeBytes}; it is truncated or being overwritten, fetch it again`,
  );
}
