import { open } from "node:fs/promises";
import type { AsyncBuffer } from "hyparquet";
import { parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { DataError, StemmaError } from "../core/errors.ts";
import { fileError } from "../files/file-error.ts";
import type { JsonlRow } from "./jsonl.ts";

/**
 * The rows of a Parquet file, a row group at a time; compression by Snappy or none. Whole numbers become plain numbers,
 * and fields that are null are left out.
 *
 * @throws {FileError} when the file cannot be read.
 * @throws {DataError} naming the file, when it is no Parquet file, uses another compression, or has no
 * rows.
 */
export async function* readParquet(path: string): AsyncGenerator<JsonlRow, void, undefined> {
  const handle = await open(path).catch((error: unknown) => {
    throw fileError(path, "read", error);
  });
  try {
    const file = await bufferOf(handle);
    const metadata = await parquetMetadataAsync(file);
    let rowStart = 0;
    for (const { num_rows } of metadata.row_groups) {
      const rowEnd = rowStart + Number(num_rows);
      for (const [i, value] of (await parquetReadObjects({ file, metadata, rowStart, rowEnd })).entries()) {
        const line = rowStart + i + 1;
        yield { where: `${path}, row ${line}`, line, value: plain(value) as JsonlRow["value"] };
      }
      rowStart = rowEnd;
    }
    if (rowStart === 0) throw new DataError(`${path}: has no rows`);
  } catch (error) {
    const clear = fileError(path, "read", error);
    if (clear instanceof StemmaError) throw clear;
    const reason = error instanceof Error ? error.message : String(error);
    throw new DataError(`${path}: cannot be read as Parquet (${reason}); write it again with Snappy compression`, {
      cause: error,
    });
  } finally {
    await handle.close();
  }
}

async function bufferOf(handle: Awaited<ReturnType<typeof open>>): Promise<AsyncBuffer> {
  const { size: byteLength } = await handle.stat();
  return {
    byteLength,
    async slice(start, end = byteLength) {
      const from = start < 0 ? byteLength + start : start;
      const bytes = new ArrayBuffer(Math.max(0, end - from));
      await handle.read(new Uint8Array(bytes), 0, bytes.byteLength, from);
      return bytes;
    },
  };
}

/** Values as JSON would hold them. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return Array.from(value as ArrayLike<unknown>, plain);
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  const known = Object.entries(value).filter(([, item]) => item !== null && item !== undefined);
  return Object.fromEntries(known.map(([name, item]) => [name, plain(item)]));
}
