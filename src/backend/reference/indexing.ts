import { DataError } from "../../core/errors.ts";
import { toBfloat16 } from "../../core/float-formats.ts";
import type { Shape } from "../../core/shape.ts";
import { elementCount } from "../../core/shape.ts";
import type { Kernels, Walk } from "../kernels.ts";
import type { View } from "../storage.ts";
import { contentsOf, floats, integers, rowsOf, valuesOf, weightsOf } from "./storage.ts";

/** Kernels that move numbers by their place. */
export const indexing = {
  decode(x: View, out: View): void {
    floats(out).set(weightsOf(x.storage, x.offset, elementCount(x.shape)));
  },
  gatherRows(table: View, ids: View, out: View): void {
    const to = floats(out);
    const [rows, width] = rowsOf(table);
    eachId("gatherRows", ids, rows, true, (id, i) => {
      const at = i * width;
      if (id < 0) to.fill(0, at, at + width);
      else to.set(weightsOf(table.storage, table.offset + id * width, width), at);
    });
  },
  scatterAddRows(rows: View, ids: View, table: View): void {
    const [from, to] = [floats(rows), floats(table)];
    const [count, width] = rowsOf(table);
    eachId("scatterAddRows", ids, count, false, (id, i) => {
      for (let c = 0; c < width; c++) to[id * width + c]! += from[i * width + c]!;
    });
  },
  setRows(rows: View, ids: View, table: View): void {
    const from = floats(rows);
    const [count, width] = rowsOf(table);
    const rounded = table.storage.dtype === "bfloat16" ? halves(table) : null;
    const to = rounded ? null : floats(table);
    eachId("setRows", ids, count, false, (id, i) => {
      const row = from.subarray(i * width, (i + 1) * width);
      to?.set(row, id * width);
      if (rounded) toBfloat16(Float32Array.from(row), rounded.subarray(id * width, (id + 1) * width));
    });
  },
  pick(x: View, ids: View, out: View): void {
    const [from, to] = [floats(x), floats(out)];
    const width = x.shape.at(-1) ?? 1;
    eachId("pick", ids, width, true, (id, i) => {
      to[i] = id < 0 ? 0 : from[i * width + id]!;
    });
  },
  pickGrad(dy: View, ids: View, dx: View): void {
    const [from, to] = [floats(dy), floats(dx)];
    const width = dx.shape.at(-1) ?? 1;
    eachId("pickGrad", ids, width, false, (id, i) => {
      to[i * width + id]! += from[i]!;
    });
  },
  transfer(shape: Shape, from: Walk, to: Walk, accumulate: boolean): void {
    const [source, target] = [valuesOf(from.view.storage), valuesOf(to.view.storage)];
    const move = (axis: number, atFrom: number, atTo: number): void => {
      if (axis === shape.length) {
        target[atTo] = accumulate ? target[atTo]! + source[atFrom]! : source[atFrom]!;
        return;
      }
      for (let i = 0; i < shape[axis]!; i++) {
        move(axis + 1, atFrom + i * from.strides[axis]!, atTo + i * to.strides[axis]!);
      }
    };
    move(0, from.view.offset + from.offset, to.view.offset + to.offset);
  },
} satisfies Partial<Kernels>;

/** The 16 bits of each number of a view of bfloat16, sharing its memory. */
function halves({ storage, offset, shape }: View): Uint16Array {
  const raw = contentsOf(storage) as Uint8Array;
  return new Uint16Array(raw.buffer, raw.byteOffset + 2 * offset, elementCount(shape));
}

/** Visits ids in order, negative ones only when asked, and refuses those that point past the end. */
function eachId(
  kernel: string,
  ids: View,
  count: number,
  visitsNegative: boolean,
  visit: (id: number, i: number) => void,
): void {
  const values = integers(ids);
  for (let i = 0; i < values.length; i++) {
    const id = values[i]!;
    if (id >= count) {
      throw new DataError(`${kernel}: id ${id} at place ${i} is not below ${count}; check the vocabulary size`);
    }
    if (id >= 0 || visitsNegative) visit(id, i);
  }
}
