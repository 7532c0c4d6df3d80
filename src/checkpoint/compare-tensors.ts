import { numbersOf, rawFormat } from "./load-raw.ts";
import type { TensorSource } from "./tensor-source.ts";

/**
 * Whether two tensors of a file hold the same values in the same order. Where both are stored alike, their bytes are compared,
 * a piece at a time up to the first that differs; only otherwise are their numbers read.
 *
 * @throws {CheckpointError} when one of them cannot be read.
 */
export async function sameValues(source: TensorSource, one: string, other: string): Promise<boolean> {
  const [left, right] = [source.info(one), source.info(other)];
  if (left.dtype === right.dtype && left.rawDiffers === right.rawDiffers) return sameBytes(source, one, other);
  const [values, others] = [await source.read(one), await source.read(other)];
  return values.length === others.length && values.every((value, i) => value === others[i]);
}

/**
 * Whether all values of a tensor are 0; read up to the first that is not.
 *
 * @throws {CheckpointError} when it cannot be read.
 */
export async function isAllZero(source: TensorSource, name: string): Promise<boolean> {
  const info = source.info(name);
  const format =
    info.rawDiffers === "shifted" ? null : rawFormat({ transposed: info.rawDiffers === "transposed" }, info);
  if (!format) return (await source.read(name)).every((value) => value === 0);
  for await (const raw of rawPieces(source, name)) {
    if (numbersOf(format, raw).some((value) => value !== 0)) return false;
  }
  return true;
}

async function sameBytes(source: TensorSource, one: string, other: string): Promise<boolean> {
  const [lefts, rights] = [rawPieces(source, one), rawPieces(source, other)];
  try {
    let [left, right] = [await nextPiece(lefts), await nextPiece(rights)];
    while (left.length > 0 && right.length > 0) {
      const length = Math.min(left.length, right.length);
      if (!beginAlike(left, right, length)) return false;
      left = left.length > length ? left.subarray(length) : await nextPiece(lefts);
      right = right.length > length ? right.subarray(length) : await nextPiece(rights);
    }
    return left.length === right.length;
  } finally {
    for (const pieces of [lefts, rights]) await pieces.return();
  }
}

/** Empty when there is none. */
async function nextPiece(pieces: AsyncGenerator<Uint8Array, void>): Promise<Uint8Array> {
  const next = await pieces.next();
  return next.done ? new Uint8Array() : next.value;
}

function beginAlike(left: Uint8Array, right: Uint8Array, length: number): boolean {
  for (let i = 0; i < length; i++) if (left[i] !== right[i]) return false;
  return true;
}

/** The bytes of a tensor as {@link TensorSource.readRaw} hands them out, for who asks for the next and may stop early. */
async function* rawPieces(source: TensorSource, name: string): AsyncGenerator<Uint8Array, void> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const reading = source
    .readRaw(name, (raw) => writer.write(raw.slice()))
    .then(
      () => writer.close(),
      (error: unknown) => writer.abort(error),
    )
    .catch(() => {}); // of who stopped early; a file's own errors come out of the reader
  const reader = readable.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel();
    await reading;
  }
}
