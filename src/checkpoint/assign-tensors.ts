import { CheckpointError } from "../core/errors.ts";
import type { Shape } from "../core/shape.ts";
import { formatShape, sameShape } from "../core/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Fault } from "./load-raw.ts";
import { loadRaw, rawFormat } from "./load-raw.ts";
import type { TensorSource, WritableTensor } from "./tensor-source.ts";

/** A tensor of ours and how a file stores it. */
export interface Placement {
  /** Name in the file. */
  readonly name: string;
  readonly tensor: Tensor;
  /** The file holds this matrix as its transpose. */
  readonly transposed?: boolean;
  /** Row i of ours is row `rows[i]` of the file's; without, they are in the same order. */
  readonly rows?: Int32Array | undefined;
  /** Filters: ours are `[out, rows, columns, channels]`, the file's `[out, channels, rows, columns]`. */
  readonly filters?: boolean | undefined;
  /** Ours is what the file holds, plus this. */
  readonly shift?: number | undefined;
}

/** How a file stores values of ours, and what shape ours are. */
export type StoredForm = Pick<Placement, "transposed" | "rows" | "filters" | "shift"> & {
  readonly tensor: { readonly shape: Shape };
};

/** What our name for a file's tensor is; null for one that carries no information and is passed over. */
export type Rename = (nameInFile: string) => string | null;

/**
 * Fills tensors from a file, one at a time, after checking that the file holds exactly these.
 *
 * @throws {CheckpointError} as {@link matchTensors} does, when the file is damaged, or when a value is no finite number.
 * Nothing is changed if the names or shapes do not fit.
 */
export async function assignTensors(
  placements: readonly Placement[],
  source: TensorSource,
  rename?: Rename,
): Promise<void> {
  const expected = new Map(placements.map((placement) => [placement.name, storedShape(placement)]));
  const matches = matchTensors(expected, source, rename);
  for (const placement of placements) {
    const inFile = matches.get(placement.name) ?? placement.name;
    const fail = (fault: Fault): CheckpointError => notFinite(source, inFile, fault);
    const format = rawFormat(placement, source.info(inFile));
    if (format) await loadRaw(placement, { source, inFile, format }, fail);
    else loadValues(placement, await source.read(inFile), fail);
  }
  const damaged = await firstNotFinite(placements.filter(({ tensor }) => tensor.dtype === "float32"));
  if (damaged) throw notFinite(source, matches.get(damaged.name) ?? damaged.name, damaged);
}

function loadValues(placement: Placement, stored: Float32Array, fail: (fault: Fault) => CheckpointError): void {
  const { tensor } = placement;
  // No backend adds up weights in a format of theirs.
  const at = tensor.dtype === "float32" ? -1 : stored.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) throw fail({ at, value: stored[at] ?? Number.NaN });
  tensor.write(fromStored(placement, stored));
}

function notFinite(source: TensorSource, inFile: string, { value, at }: Fault): CheckpointError {
  return new CheckpointError(
    `${source.name}: ${inFile} holds ${value} at element ${at}, ` +
      "a model computes with finite numbers only; the file is damaged, or its training failed: take another",
  );
}

/** A value that is no number, and where a file would have it. */
interface NotFinite extends Fault {
  readonly name: string;
}

/**
 * The first NaN or infinity among tensors. The backend adds up each tensor, which takes a small part of the time that
 * reading did; only where a sum is not finite are values looked at, since a sum of large numbers can overflow.
 */
async function firstNotFinite(placements: readonly Placement[]): Promise<NotFinite | null> {
  const [first] = placements;
  if (!first) return null;
  const sums = first.tensor.blank([placements.length]);
  for (const [i, { tensor }] of placements.entries()) {
    tensor.backend.kernels.sum(tensor, 1, tensor.size, 1, sums.window(i, [1]));
  }
  const totals = await sums.read();
  sums.release();
  for (const [i, placement] of placements.entries()) {
    if (Number.isFinite(totals[i])) continue;
    const { name, tensor } = placement;
    const stored = toStored(placement, await tensor.floats());
    const at = stored.findIndex((value) => !Number.isFinite(value));
    if (at >= 0) return { name, at, value: stored[at] ?? Number.NaN };
  }
  return null;
}

/** Tensors of ours as a file stores them, to be read when their turn to be written comes. */
export function writableTensors(placements: Iterable<Placement>): WritableTensor[] {
  return [...placements].map((placement) => ({
    name: placement.name,
    shape: storedShape(placement),
    read: async () => toStored(placement, await placement.tensor.floats()),
  }));
}

/** Values as the file has them → as ours are. */
export function fromStored(form: StoredForm, stored: Float32Array): Float32Array {
  const { tensor, transposed, rows, shift = 0 } = form;
  if (form.filters) return eachTransposed(stored, tensor.shape.slice(3), tensor.shape[0]);
  const values = transposed ? transpose(stored, tensor.shape.toReversed()) : stored;
  const ordered = rows ? orderRows(values, rows, (from, to) => [from, to]) : values;
  return shift === 0 ? ordered : ordered.map((value) => value + shift);
}

/** Values as ours are → as the file has them. */
export function toStored(form: StoredForm, values: Float32Array): Float32Array {
  const { tensor, transposed, rows, shift = 0 } = form;
  if (form.filters) return eachTransposed(values, tensor.shape.slice(1, 3), tensor.shape[0]);
  const plain = shift === 0 ? values : values.map((value) => value - shift);
  const ordered = rows ? orderRows(plain, rows, (from, to) => [to, from]) : plain;
  return transposed ? transpose(ordered, tensor.shape) : ordered;
}

/** `count` matrices, each of so many rows as the lengths make together, one after the other → their transposes. */
function eachTransposed(values: Float32Array, lengths: Shape, count = 1): Float32Array {
  const [rows, each] = [lengths.reduce((product, length) => product * length, 1), values.length / count];
  const out = new Float32Array(values.length);
  for (let i = 0; i < count; i++) {
    out.set(transpose(values.subarray(i * each, (i + 1) * each), [rows, each / rows]), i * each);
  }
  return out;
}

/** Rows of `values` in another order: where(rows[i], i) says from which row to which. */
function orderRows(
  values: Float32Array,
  rows: Int32Array,
  where: (from: number, to: number) => readonly [from: number, to: number],
): Float32Array {
  const width = values.length / rows.length;
  const out = new Float32Array(values.length);
  rows.forEach((inFile, ours) => {
    const [from, to] = where(inFile, ours);
    out.set(values.subarray(from * width, (from + 1) * width), to * width);
  });
  return out;
}

/**
 * Which tensor of a file is which of ours: every expected one must be there with its shape, and nothing else. Returns
 * our names → names in the file.
 *
 * @throws {CheckpointError} naming the first tensors that are missing, of another shape, or unexpected, what was
 * expected, and a difference in the number of layers if that is behind it.
 */
export function matchTensors(
  expected: ReadonlyMap<string, Shape>,
  source: TensorSource,
  rename: Rename = (name) => name,
): Map<string, string> {
  const found = new Map<string, string>();
  for (const inFile of source.names()) {
    const name = rename(inFile);
    if (name === null) continue;
    const twin = found.get(name);
    if (twin !== undefined) throw new CheckpointError(`${source.name}: ${twin} and ${inFile} are both ${name}`);
    found.set(name, inFile);
  }
  const missing: string[] = [];
  const misshapen: string[] = [];
  for (const [name, shape] of expected) {
    const inFile = found.get(name);
    const stored = inFile === undefined ? null : source.info(inFile).shape;
    if (stored === null) missing.push(`${name} ${formatShape(shape)}`);
    else if (!sameShape(stored, shape)) {
      misshapen.push(`${inFile} ${formatShape(stored)} (${formatShape(shape)} is expected)`);
    }
  }
  const extra = [...found].filter(([name]) => !expected.has(name)).map(([, inFile]) => inFile);
  const faults = [
    ...list(missing, "is missing", "are missing"),
    ...list(misshapen, "has another shape", "have other shapes"),
    ...list(extra, "is not part of the model", "are not part of the model"),
  ];
  if (faults.length === 0) return found;
  const hint = layerHint([...expected.keys()], [...found.keys()]);
  throw new CheckpointError(
    `${source.name}: does not fit the model: ${[...faults, ...hint].join("; ")}; check that the config and the weights belong together`,
  );
}

/** `[rows, columns]` in row-major order → `[columns, rows]`. Blocked, so that both sides stay in the cache. */
export function transpose(values: Float32Array, [rows = 0, columns = 0]: Shape): Float32Array {
  const block = 32;
  const out = new Float32Array(values.length);
  for (let top = 0; top < rows; top += block) {
    const bottom = Math.min(top + block, rows);
    for (let left = 0; left < columns; left += block) {
      const right = Math.min(left + block, columns);
      for (let column = left; column < right; column++) {
        for (let row = top; row < bottom; row++) out[column * rows + row] = values[row * columns + column] as number;
      }
    }
  }
  return out;
}

function storedShape({ name, tensor, transposed, filters }: Placement): Shape {
  const [out = 0, rows = 0, columns = 0, channels = 0] = tensor.shape;
  if (filters) return [out, channels, rows, columns];
  if (!transposed) return tensor.shape;
  if (tensor.shape.length === 2) return tensor.shape.toReversed();
  throw new CheckpointError(`${name}: only a matrix can be stored transposed, this is ${formatShape(tensor.shape)}`);
}

function list(names: readonly string[], one: string, many: string): string[] {
  if (names.length === 0) return [];
  const more = names.length > 3 ? `, and ${names.length - 3} more` : "";
  return [`${names.slice(0, 3).join(", ")}${more} ${names.length === 1 ? one : many}`];
}

/** Counts what numbers under each prefix, `h.0.` `h.1.` …, and says where file and model differ. */
function layerHint(expected: readonly string[], found: readonly string[]): string[] {
  const inFile = layerCounts(found);
  return [...layerCounts(expected)].flatMap(([prefix, count]) => {
    const other = inFile.get(prefix) ?? 0;
    return other === count || other === 0
      ? []
      : [`the file has ${other} layers under ${prefix}, the model has ${count}`];
  });
}

function layerCounts(names: readonly string[]): Map<string, number> {
  const indices = new Map<string, Set<string>>();
  for (const name of names) {
    const [, prefix, index] = /^(.*?)\.(\d+)\./.exec(name) ?? [];
    if (prefix === undefined || index === undefined) continue;
    const seen = indices.get(prefix) ?? new Set();
    indices.set(prefix, seen.add(index));
  }
  return new Map([...indices].map(([prefix, seen]) => [prefix, seen.size]));
}
