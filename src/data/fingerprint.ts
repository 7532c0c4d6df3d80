import type { Hash } from "node:crypto";
import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { DataError } from "../core/errors.ts";
import { fileError } from "../files/file-error.ts";
import { documentStart } from "../text/text-bounds.ts";
import type { Tokenizer } from "../text/tokenizer.ts";

/** What identifies the contents of a file. */
export interface FileFingerprint {
  readonly path: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** Of the whole file, or of blocks spread over it when it belongs to a corpus too large to read for this. */
  readonly sha256: string;
  readonly sampled: boolean;
}

/** Bytes of a corpus up to which every one of them is hashed: about a second's work. */
const wholeLimit = 2 ** 30;
const blockBytes = 2 ** 16;
const sampledBlocks = 16;

/**
 * Fingerprints of the files of a corpus. Up to 1 GiB in all, contents are hashed whole; beyond that 16 blocks of
 * 64 KiB of each file are, and its path and time of change count as well (see {@link identity}).
 *
 * @throws {FileError} when a file cannot be read.
 */
export async function fingerprintFiles(files: readonly string[], limit = wholeLimit): Promise<FileFingerprint[]> {
  const found: FileFingerprint[] = [];
  const sizes = await Promise.all(files.map((path) => withFile(path, async (file) => (await file.stat()).size)));
  const sampled = sizes.reduce((a, b) => a + b, 0) > limit;
  for (const path of files) found.push(await withFile(path, (file) => fingerprint(path, file, sampled)));
  return found;
}

/**
 * Makes sure that files are still those that were fingerprinted.
 *
 * @throws {DataError} naming the first one whose size or time of change is another.
 */
export async function checkUnchanged(files: readonly FileFingerprint[]): Promise<void> {
  for (const { path, sizeBytes, modifiedMs } of files) {
    const { size, mtimeMs } = await withFile(path, (file) => file.stat());
    if (size === sizeBytes && mtimeMs === modifiedMs) continue;
    throw new DataError(`${path}: changed while it was being read; wait until it is complete and run again`);
  }
}

/** The part of a fingerprint that must be the same for contents to count as the same. */
export function identity(file: FileFingerprint): object {
  const { path, sizeBytes, modifiedMs, sha256, sampled } = file;
  return sampled ? { path, sizeBytes, modifiedMs, sha256 } : { sizeBytes, sha256 };
}

/** SHA-256 of everything a tokenizer is. */
export function tokenizerFingerprint(tokenizer: Tokenizer): string {
  const { kind, vocabularySize, endOfText } = tokenizer;
  const start = documentStart(tokenizer);
  const contents = JSON.stringify([kind, vocabularySize, endOfText, tokenizer.toJson(), ...start]);
  return createHash("sha256").update(contents).digest("hex");
}

async function fingerprint(path: string, file: FileHandle, sampled: boolean): Promise<FileFingerprint> {
  const { size, mtimeMs } = await file.stat();
  const hash = createHash("sha256");
  if (sampled) {
    for (let block = 0; block < sampledBlocks; block++) {
      const start = Math.floor((Math.max(0, size - blockBytes) * block) / (sampledBlocks - 1));
      await hashRange(hash, file, start, start + blockBytes);
    }
  } else {
    await hashRange(hash, file, 0, size);
  }
  return { path, sizeBytes: size, modifiedMs: mtimeMs, sha256: hash.digest("hex"), sampled };
}

async function hashRange(hash: Hash, file: FileHandle, start: number, end: number): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(end - start, 2 ** 20));
  for (let at = start; at < end; ) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - at), at);
    if (bytesRead === 0) return;
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
}

async function withFile<Result>(path: string, body: (file: FileHandle) => Promise<Result>): Promise<Result> {
  try {
    const file = await open(path, "r");
    try {
      return await body(file);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw fileError(path, "read", error);
  }
}
