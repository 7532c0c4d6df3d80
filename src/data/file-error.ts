import { DataError, StemmaError } from "../core/errors.ts";

/** What an operating system error means to the user, and what to do about it. */
const explanations: Readonly<Record<string, string>> = {
  EACCES: "permission denied; change its permissions or choose another place",
  EDQUOT: "the disk quota is used up; free some space or choose another place",
  EEXIST: "a file is where a folder is needed; remove it or choose another place",
  EIO: "the disk reports an error; check it or use a copy",
  EISDIR: "it is a folder; name a file inside it",
  EMFILE: "too many files are open; raise the limit (ulimit -n)",
  ENOENT: "it does not exist; check the path",
  ENOSPC: "the disk is full; free some space or choose another place",
  ENOTDIR: "a part of the path is a file, not a folder; check the path",
  EPERM: "the operation is not permitted; change its permissions or choose another place",
  EROFS: "the file system is read-only; choose another place",
};

/** The code that Node puts on system and library errors (`ENOENT`, `Z_DATA_ERROR`), or null. */
export function errorCode(error: unknown): string | null {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : null;
}

/**
 * Turns an operating system or decompression error into a {@link DataError} that names the file and says what to do.
 * Errors that are clear already, and defects, come back as they are.
 */
export function fileError(path: string, action: "read" | "write", error: unknown): unknown {
  const code = errorCode(error);
  if (error instanceof StemmaError || code === null) return error;
  if (code.startsWith("Z_")) {
    const what = code === "Z_BUF_ERROR" ? "ends in the middle of its gzip data" : "is not valid gzip data";
    return new DataError(`${path}: ${what}; fetch or compress it again`, { cause: error });
  }
  if (!/^E[A-Z0-9]+$/.test(code)) return error;
  const explanation = explanations[code] ?? `the system reports ${code}; check the disk and the path`;
  return new DataError(`${path}: cannot ${action}: ${explanation}`, { cause: error });
}
