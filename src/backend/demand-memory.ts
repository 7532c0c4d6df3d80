import { formatBytes } from "../core/byte-size.ts";
import { MemoryError } from "../core/errors.ts";
import type { Backend } from "./kernels.ts";

/** Less than this is simply tried. */
const worthAsking = 2 ** 24;

/**
 * Makes sure that there is memory for something before any of it is allocated: the system would promise more than there
 * is, and end the process when it is used.
 *
 * @param what - What takes it, for the message: `key-value cache: 8 sequences of 2048 tokens`.
 * @param advice - What to do about it: `lower --samples`.
 * @throws {MemoryError} when there is less than that.
 */
export function demandMemory({ memoryLeft }: Backend, bytes: number, what: string, advice: string): void {
  if (memoryLeft === undefined || bytes < worthAsking) return;
  const left = memoryLeft();
  if (bytes <= left) return;
  throw new MemoryError(`${what} take ${formatBytes(bytes)}, and ${memoryThere(left)}; ${advice}`);
}

/** `3.20 GB of memory are left (STEMMA_MEMORY=16GB if you know better)`. */
export function memoryThere(left: number): string {
  return `${formatBytes(left)} of memory are left (STEMMA_MEMORY=16GB if you know better)`;
}

/** The error of an allocation that the system refused. */
export function outOfMemory(bytes: number, cause?: unknown): MemoryError {
  return new MemoryError(
    `out of memory: ${formatBytes(bytes)} more were asked for; lower --batch-size, --context or --max-new-tokens, add ` +
      "--recompute where there is one, or take a smaller model",
    { cause },
  );
}
