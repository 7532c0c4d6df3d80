import { FileError, StemmaError } from "../core/errors.ts";

/** What an operating system error means to the user, and what to do about it. */
const explanations: Readonly<Record<string, string>> = {
  EACCES: "permission denied; change its permissions or choose another place",
  EBUSY: "it is in use or a mount point; choose a folder inside it",
  EDQUOT: "the disk quota is used up; free some space or choose another place",
  EEXIST: "a file is where a folder is needed; remove it or choose another place",
  EFBIG: "the file would be larger than this file system or user may write; choose another place",
  EIO: "the disk reports an error; check it and choose another place or a copy",
  EISDIR: "it is a folder where a file is expected; check the path",
  EMFILE: "too many files are open; raise the limit (ulimit -n)",
  ENAMETOOLONG: "the name is too long for this file system; choose a shorter one",
  ENOENT: "it does not exist; check the path",
  ENOSPC: "the disk is full; free some space or choose another place",
  ENOTDIR: "a part of the path is a file, not a folder; check the path",
  EPERM: "the operation is not permitted; change its permissions or choose another place",
  EROFS: "the file system is read-only; choose another place",
};

/** The code that Node puts on errors of the system and of its libraries (`ENOENT`, `Z_DATA_ERROR`), or null. */
export function systemCode(error: unknown): string | null {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : null;
}

/**
 * Turns an operating system error into a {@link FileError} that names the file and says what to do. Errors that are
 * clear already, and defects, come back as they are.
 */
export function fileError(path: string, action: "read" | "write", error: unknown): unknown {
  const code = systemCode(error);
  if (error instanceof StemmaError || code === null || !/^E[A-Z0-9]+$/.test(code)) return error;
  const explanation = explanations[code] ?? `the system reports ${code}; check the disk and the path`;
  const untouched = action === "write" ? " (what was there before is untouched)" : "";
  return new FileError(`${path}: cannot ${action}: ${explanation}${untouched}`, { cause: error });
}
