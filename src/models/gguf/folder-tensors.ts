import { fromStored } from "../../checkpoint/assign-tensors.ts";
import type { GgufFile } from "../../checkpoint/gguf.ts";
import { readWhole, reorderedRows } from "../../checkpoint/load-raw.ts";
import type { TakePiece, TensorInfo, TensorSource } from "../../checkpoint/tensor-source.ts";
import { checkLength, noSuchTensor, unreadable } from "../../checkpoint/tensor-source.ts";
import type { Shape } from "../../core/shape.ts";
import { elementCount } from "../../core/shape.ts";
import type { Arrangement, HeadCounts } from "./arrangement.ts";
import { arrangedShape, same } from "./arrangement.ts";
import type { GgufLayout } from "./layout.ts";
import { rotaryTensors } from "./rotary.ts";

/** Where a file has what a folder calls by another name. */
interface Place {
  readonly inFile: string;
  readonly arrangement: Arrangement;
  /** Of one matrix, in the file. */
  readonly shape: Shape;
  /** Which of the matrices that the file stacks into one tensor; null where it has one alone. */
  readonly part: number | null;
}

/** Tensors of a GGUF file under the names, and in the arrangement, of a model folder. */
export class GgufFolderTensors implements TensorSource {
  readonly name: string;
  readonly #file: GgufFile;
  readonly #counts: HeadCounts;
  readonly #places: ReadonlyMap<string, Place>;
  readonly #infos = new Map<string, TensorInfo>();
  /** The bytes of the stacked tensor that was read last, as below. */
  #rawStack: { readonly name: string; readonly raw: Uint8Array } | null = null;
  /** The stacked tensor read last: its matrices are asked for one after the other. */
  #stack: { readonly name: string; readonly values: Float32Array } | null = null;

  constructor(file: GgufFile, layout: GgufLayout, counts: HeadCounts) {
    this.name = file.name;
    this.#file = file;
    this.#counts = counts;
    this.#places = new Map(file.names().flatMap((name) => placesOf(name, file.info(name).shape, layout)));
  }

  names(): readonly string[] {
    return [...this.#places.keys()];
  }

  has(name: string): boolean {
    return this.#places.has(name);
  }

  info(name: string): TensorInfo {
    const known = this.#infos.get(name);
    if (known) return known;
    const { inFile, arrangement, shape } = this.#place(name);
    const { transposed = false, shift = 0 } = arrangement(shape[0] ?? 1, this.#counts);
    const info: TensorInfo = {
      dtype: this.#file.info(inFile).dtype,
      shape: arrangedShape(arrangement, shape, this.#counts),
      rawDiffers: transposed ? "transposed" : shift === 0 ? undefined : "shifted",
    };
    this.#infos.set(name, info);
    return info;
  }

  async read(name: string, into?: Float32Array): Promise<Float32Array> {
    const place = this.#place(name);
    if (into) checkLength(this, name, into);
    const { shape } = this.info(name);
    const form = { ...place.arrangement(shape[0] ?? 1, this.#counts), tensor: { shape } };
    const arranged = fromStored(form, await this.#values(place));
    if (!into) return arranged;
    into.set(arranged);
    return into;
  }

  async readIntegers(name: string): Promise<Int32Array> {
    throw unreadable(this, name, "integers");
  }

  /** Whole rows are moved where they have another order. */
  async readRaw(name: string, take: TakePiece): Promise<void> {
    const { inFile, arrangement, shape, part } = this.#place(name);
    const { rows } = arrangement(shape[0] ?? 1, this.#counts);
    if (!rows && part === null) return this.#file.readRaw(inFile, take);
    const raw = await (part === null ? readWhole(this.#file, inFile) : this.#rawPart(inFile, part));
    await take(rows ? reorderedRows(raw, rows) : raw);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #rawPart(inFile: string, part: number): Promise<Uint8Array> {
    if (this.#rawStack?.name !== inFile) this.#rawStack = { name: inFile, raw: await readWhole(this.#file, inFile) };
    const { raw } = this.#rawStack;
    const size = raw.length / (this.#file.info(inFile).shape[0] ?? 1);
    return raw.slice(part * size, (part + 1) * size);
  }

  async #values({ inFile, shape, part }: Place): Promise<Float32Array> {
    if (part === null) return this.#file.read(inFile);
    if (this.#stack?.name !== inFile) this.#stack = { name: inFile, values: await this.#file.read(inFile) };
    const size = elementCount(shape);
    return this.#stack.values.subarray(part * size, (part + 1) * size);
  }

  #place(name: string): Place {
    const place = this.#places.get(name);
    if (!place) throw noSuchTensor(this, name);
    return place;
  }
}

/** What a folder calls a tensor of the file; its own name where the layout knows none, so that it is reported. */
function placesOf(inFile: string, shape: Shape, layout: GgufLayout): [name: string, place: Place][] {
  if (rotaryTensors.includes(inFile)) return [];
  const [, layer = ""] = /^blk\.(\d+)\./.exec(inFile) ?? [];
  const general = inFile.replace(/^blk\.\d+\./, "blk.#.");
  const entry = layout.tensors.find(({ gguf }) => gguf === general);
  if (!entry) return [[inFile, { inFile, arrangement: same, shape, part: null }]];
  const { arrangement } = entry;
  const name = entry.folder.replace("#", layer);
  if (!name.includes("@")) return [[name, { inFile, arrangement, shape, part: null }]];
  // Never more matrices than numbers, whatever an empty tensor claims.
  const parts = Math.min(shape[0] ?? 0, elementCount(shape));
  return Array.from({ length: parts }, (_, part) => [
    name.replace("@", String(part)),
    { inFile, arrangement, shape: shape.slice(1), part },
  ]);
}
