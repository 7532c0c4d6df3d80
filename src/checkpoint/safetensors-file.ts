import { writeFileAtomic } from "../files/atomic-write.ts";
import { openFile } from "./open-file.ts";
import type { SafetensorsFile, SafetensorsOptions } from "./safetensors.ts";
import { readSafetensors, safetensorsChunks } from "./safetensors.ts";
import type { WritableTensor } from "./tensor-source.ts";

/**
 * Opens a safetensors file and checks its header against its size; values are read later.
 *
 * @throws {FileError} when the file is missing.
 * @throws {CheckpointError} when it is truncated, damaged or of another format.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  return readSafetensors(await openFile(path));
}

/**
 * Writes tensors one at a time, holding one at a time. The same tensors give the same bytes, in whatever order they
 * come: they are laid out as the reference implementation does, widest dtype first, then by name. Atomic.
 *
 * @throws {FileError} when the disk is full.
 * @throws {CheckpointError} when a name comes twice, or values do not fit their shape or dtype.
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<WritableTensor>,
  options: SafetensorsOptions = {},
): Promise<void> {
  await writeFileAtomic(path, safetensorsChunks(path, tensors, options));
}
