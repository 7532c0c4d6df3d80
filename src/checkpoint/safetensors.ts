import { CheckpointError } from "../core/errors.ts";
import { elementCount, formatShape } from "../core/shape.ts";
import type { ByteSource } from "./byte-source.ts";
import { readInPieces } from "./byte-source.ts";
import { encodeElements, floatDecoders, integerViews, narrowIntegers } from "./element-encoding.ts";
import type { SafetensorsEntry, SafetensorsHeader } from "./safetensors-header.ts";
import { byteLength, formatHeader, maxHeaderBytes, parseHeader } from "./safetensors-header.ts";
import type { FloatDtype, TakePiece, TensorSource, WritableDtype, WritableTensor } from "./tensor-source.ts";
import { checkLength, noSuchTensor, unreadable } from "./tensor-source.ts";

/** What to write besides the tensors. */
export interface SafetensorsOptions {
  /** How float tensors are stored that do not say it themselves. Default `F32`. */
  readonly dtype?: FloatDtype;
  /** Free text pairs; `format: "pt"`, which `transformers` asks for, is added. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** An open safetensors file. Only its header is in memory. */
export class SafetensorsFile implements TensorSource {
  readonly name: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly #bytes: ByteSource;
  readonly #tensors: ReadonlyMap<string, SafetensorsEntry>;
  readonly #dataStart: number;

  /** Use {@link readSafetensors}: `header` must have been checked against the size of `bytes`. */
  constructor(bytes: ByteSource, header: SafetensorsHeader, dataStart: number) {
    this.name = bytes.name;
    this.metadata = header.metadata;
    this.#bytes = bytes;
    this.#tensors = header.tensors;
    this.#dataStart = dataStart;
  }

  names(): readonly string[] {
    return [...this.#tensors.keys()];
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  info(name: string): SafetensorsEntry {
    const entry = this.#tensors.get(name);
    if (!entry) throw noSuchTensor(this, name);
    return entry;
  }

  async read(name: string, into?: Float32Array): Promise<Float32Array> {
    const entry = this.info(name);
    const decode = floatDecoders.get(entry.dtype);
    if (!decode) throw unreadable(this, name, "floats");
    const values = into ?? new Float32Array(elementCount(entry.shape));
    checkLength(this, name, values);
    if (entry.dtype === "F32") {
      await this.#bytes.read(bytesOf(values), this.#dataStart + entry.begin);
    } else {
      await readInPieces(this.#bytes, this.#region(entry), (raw, first) => {
        decode(raw, values.subarray(first, first + raw.length / bytesEach(entry)));
      });
    }
    return values;
  }

  async readIntegers(name: string): Promise<Int32Array> {
    const entry = this.info(name);
    const view = integerViews.get(entry.dtype);
    if (!view) throw unreadable(this, name, "integers");
    const values = new Int32Array(elementCount(entry.shape));
    await readInPieces(this.#bytes, this.#region(entry), (raw, first) => {
      narrowIntegers(`${this.name}: ${name}`, view(raw, raw.length / bytesEach(entry)), values.subarray(first));
    });
    return values;
  }

  async readRaw(name: string, take: TakePiece): Promise<void> {
    await readInPieces(this.#bytes, this.#region(this.info(name)), take);
  }

  async close(): Promise<void> {
    await this.#bytes.close();
  }

  #region(entry: SafetensorsEntry): { begin: number; units: number; unitBytes: number } {
    const { begin, shape } = entry;
    return { begin: this.#dataStart + begin, units: elementCount(shape), unitBytes: bytesEach(entry) };
  }
}

/** Bytes of one element of a dtype that can be read. */
function bytesEach({ dtype }: SafetensorsEntry): number {
  return byteLength(dtype, []) ?? 1;
}

/**
 * Reads the header of a safetensors file, wherever its bytes are, and checks it against its size; values are read later.
 *
 * @throws {CheckpointError} when it is truncated, damaged or of another format; the source is then closed.
 */
export async function readSafetensors(bytes: ByteSource): Promise<SafetensorsFile> {
  try {
    const start = new Uint8Array(Math.min(8, bytes.sizeBytes));
    await bytes.read(start, 0);
    const length = headerLength(bytes, start);
    const json = new Uint8Array(length);
    await bytes.read(json, 8);
    return new SafetensorsFile(bytes, parseHeader(bytes.name, json, bytes.sizeBytes - 8 - length), 8 + length);
  } catch (error) {
    await bytes.close();
    throw error;
  }
}

/** The bytes of a safetensors file, piece by piece. Pieces share memory: use each before asking for the next. */
export async function* safetensorsChunks(
  where: string,
  tensors: Iterable<WritableTensor>,
  options: SafetensorsOptions = {},
): AsyncGenerator<Uint8Array> {
  const ordered = [...tensors].map((tensor) => ({ tensor, dtype: tensor.dtype ?? options.dtype ?? "F32" }));
  ordered.sort((a, b) => widest(a.dtype, b.dtype) || compareBytes(a.tensor.name, b.tensor.name));
  yield formatHeader(where, { metadata: metadataOf(options), tensors: layOut(where, ordered) });
  for (const { tensor, dtype } of ordered) {
    const values = await tensor.read();
    const place = `${where}: ${tensor.name}`;
    if (values.length !== elementCount(tensor.shape)) {
      throw new CheckpointError(`${place}: ${values.length} values do not fill ${formatShape(tensor.shape)}`);
    }
    yield* encodeElements(place, values, dtype);
  }
}

function metadataOf(options: SafetensorsOptions): Map<string, string> {
  return new Map(Object.entries({ format: "pt", ...options.metadata }));
}

function layOut(
  where: string,
  ordered: readonly { tensor: WritableTensor; dtype: WritableDtype }[],
): Map<string, SafetensorsEntry> {
  const entries = new Map<string, SafetensorsEntry>();
  let begin = 0;
  for (const { tensor, dtype } of ordered) {
    const { name, shape } = tensor;
    const length = byteLength(dtype, shape);
    if (length === null) throw new CheckpointError(`${where}: ${name}: the shape ${formatShape(shape)} is impossible`);
    if (entries.has(name)) throw new CheckpointError(`${where}: ${name}: two tensors have this name`);
    if (name === "__metadata__") throw new CheckpointError(`${where}: ${name}: the name is reserved`);
    entries.set(name, { dtype, shape, begin, end: begin + length });
    begin += length;
  }
  return entries;
}

const layoutOrder: readonly WritableDtype[] = ["I64", "F32", "I32", "BF16", "F16", "U8", "BOOL"];

function widest(a: WritableDtype, b: WritableDtype): number {
  return layoutOrder.indexOf(a) - layoutOrder.indexOf(b);
}

/** Order of the UTF-8 bytes, which is that of the code points. */
function compareBytes(a: string, b: string): number {
  const [x, y] = [a, b].map((text) => new TextEncoder().encode(text)) as [Uint8Array, Uint8Array];
  const at = x.findIndex((byte, i) => byte !== y[i]);
  return at < 0 ? x.length - y.length : (x[at] ?? 0) - (y[at] ?? -1);
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function headerLength(bytes: ByteSource, start: Uint8Array): number {
  if (start.length < 8) {
    throw new CheckpointError(`${bytes.name}: has ${start.length} bytes; it is truncated, fetch or write it again`);
  }
  const length = new DataView(start.buffer).getBigUint64(0, true);
  if (length <= BigInt(maxHeaderBytes) && length <= BigInt(bytes.sizeBytes - 8)) return Number(length);
  const other = otherFormat(start);
  if (other !== null) throw new CheckpointError(`${bytes.name}: is not a safetensors file but ${other}`);
  throw new CheckpointError(
    `${bytes.name}: claims a header of ${length} bytes in a file of ${bytes.sizeBytes}; it is truncated or not a safetensors file, fetch it again`,
  );
}

/** Recognises what is often found under the name of a weights file. */
function otherFormat(start: Uint8Array): string | null {
  const text = String.fromCharCode(...start);
  if (text.startsWith("version ")) return "a Git LFS pointer; fetch the real file with `git lfs pull`";
  if (text.startsWith("PK")) return "a PyTorch file; convert it to safetensors first";
  if (text.startsWith("GGUF")) return "a GGUF file; import it first";
  if (text.startsWith("<")) return "a web page; download the file itself";
  return null;
}
