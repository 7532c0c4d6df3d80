import { dequantizeQ4, dequantizeQ8, dequantizeQ41, dequantizeQ50, dequantizeQ51 } from "../core/block-quantization.ts";
import { dequantizeQ4K, dequantizeQ5K, dequantizeQ6K } from "../core/k-decoding.ts";
import { dequantizeIQ4NL, dequantizeIQ4XS, dequantizeQ2K, dequantizeQ3K } from "../core/read-only-blocks.ts";
import { elementCount } from "../core/shape.ts";
import type { ByteSource } from "./byte-source.ts";
import { readInPieces } from "./byte-source.ts";
import type { FloatDecoder } from "./element-encoding.ts";
import { floatDecoders, integerViews, narrowIntegers } from "./element-encoding.ts";
import type { GgufEntry, GgufHeader } from "./gguf-header.ts";
import { parseGgufHeader } from "./gguf-header.ts";
import type { GgufValue } from "./gguf-values.ts";
import { ggmlTypes } from "./gguf-values.ts";
import { parseGrowing } from "./header-cursor.ts";
import { openFile } from "./open-file.ts";
import type { TakePiece, TensorSource } from "./tensor-source.ts";
import { checkLength, noSuchTensor, unreadable } from "./tensor-source.ts";

const decoders: ReadonlyMap<string, FloatDecoder> = new Map([
  ...floatDecoders,
  ["Q8_0", dequantizeQ8],
  ["Q4_0", dequantizeQ4],
  ["Q4_1", dequantizeQ41],
  ["Q5_0", dequantizeQ50],
  ["Q5_1", dequantizeQ51],
  ["Q4_K", dequantizeQ4K],
  ["Q5_K", dequantizeQ5K],
  ["Q6_K", dequantizeQ6K],
  ["Q2_K", dequantizeQ2K],
  ["Q3_K", dequantizeQ3K],
  ["IQ4_NL", dequantizeIQ4NL],
  ["IQ4_XS", dequantizeIQ4XS],
]);

/**
 * An open GGUF file. Its metadata are in memory, its tensors are read on demand: float formats, blocks of 4, 5 and 8
 * bits, the K formats of 2 to 6 bits, and IQ4_NL and IQ4_XS as floats. Shapes are row-major, outermost axis first, like everywhere else here.
 */
export class GgufFile implements TensorSource {
  readonly name: string;
  readonly version: number;
  /** Keys and typed values in file order. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly alignment: number;
  readonly #bytes: ByteSource;
  readonly #tensors: ReadonlyMap<string, GgufEntry>;
  readonly #dataStart: number;

  /** Use {@link openGguf}: `header` must have been checked against the size of `bytes`. */
  constructor(bytes: ByteSource, header: GgufHeader) {
    this.name = bytes.name;
    this.version = header.version;
    this.metadata = header.metadata;
    this.alignment = header.alignment;
    this.#bytes = bytes;
    this.#tensors = header.tensors;
    this.#dataStart = header.dataStart;
  }

  names(): readonly string[] {
    return [...this.#tensors.keys()];
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  info(name: string): GgufEntry {
    const entry = this.#tensors.get(name);
    if (!entry) throw noSuchTensor(this, name);
    return entry;
  }

  async read(name: string, into?: Float32Array): Promise<Float32Array> {
    const { dtype, shape } = this.info(name);
    const decode = decoders.get(dtype);
    if (!decode) throw unreadable(this, name, "floats");
    const values = into ?? new Float32Array(elementCount(shape));
    checkLength(this, name, values);
    const { block, bytes } = ggmlTypes[dtype];
    await readInPieces(this.#bytes, this.#region(name), (raw, first) => {
      decode(raw, values.subarray(first * block, (first + raw.length / bytes) * block));
    });
    return values;
  }

  async readIntegers(name: string): Promise<Int32Array> {
    const { dtype, shape } = this.info(name);
    const view = integerViews.get(dtype);
    if (!view) throw unreadable(this, name, "integers");
    const values = new Int32Array(elementCount(shape));
    const { bytes } = ggmlTypes[dtype];
    await readInPieces(this.#bytes, this.#region(name), (raw, first) => {
      narrowIntegers(`${this.name}: ${name}`, view(raw, raw.length / bytes), values.subarray(first));
    });
    return values;
  }

  async readRaw(name: string, take: TakePiece): Promise<void> {
    await readInPieces(this.#bytes, this.#region(name), take);
  }

  async close(): Promise<void> {
    await this.#bytes.close();
  }

  #region(name: string): { begin: number; units: number; unitBytes: number } {
    const { dtype, begin, end } = this.info(name);
    const { bytes } = ggmlTypes[dtype];
    return { begin: this.#dataStart + begin, units: (end - begin) / bytes, unitBytes: bytes };
  }
}

/**
 * Opens a GGUF file of version 2 or 3 and checks its header against its size; tensors are read later.
 *
 * @throws {FileError} when the file is missing.
 * @throws {CheckpointError} when it is truncated, damaged, of another format or version.
 */
export async function openGguf(file: string | ByteSource): Promise<GgufFile> {
  const bytes = typeof file === "string" ? await openFile(file) : file;
  try {
    return new GgufFile(bytes, await headerOf(bytes));
  } catch (error) {
    await bytes.close();
    throw error;
  }
}

/** The header that was read last, as long as anything holds it: a command asks one file for its family, tokenizer and model. */
let lastRead: { readonly version: string; readonly header: WeakRef<GgufHeader> } | null = null;

async function headerOf(bytes: ByteSource): Promise<GgufHeader> {
  const { version } = bytes;
  const known = version !== undefined && lastRead?.version === version ? lastRead.header.deref() : undefined;
  if (known) return known;
  const header = await parseGrowing(bytes, parseGgufHeader);
  if (version !== undefined) lastRead = { version, header: new WeakRef(header) };
  return header;
}
