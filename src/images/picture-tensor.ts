import type { Backend } from "../backend/kernels.ts";
import { DataError, ShapeError } from "../core/errors.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Picture } from "./picture.ts";
import { composite } from "./picture.ts";

/**
 * Pictures of one size → `[batch, height, width, 3]`, 0 … 255 as −1 … 1, on white where there is alpha.
 *
 * @throws {DataError} when they differ in size, or there are none.
 */
export function tensorOfPictures(backend: Backend, pictures: readonly Picture[]): Tensor {
  const [first] = pictures;
  if (!first) throw new DataError("pictures: there are none to compute with; give one at least");
  const { width, height } = first;
  const size = width * height * 3;
  const values = new Float32Array(pictures.length * size);
  for (const [i, picture] of pictures.entries()) {
    if (picture.width !== width || picture.height !== height) {
      throw new DataError(
        `pictures: ${picture.width} × ${picture.height} pixels beside ${width} × ${height}; resize them to one size`,
      );
    }
    writeUnitValues(composite(picture).bytes, values, i * size);
  }
  return Tensor.from(backend, values, [pictures.length, height, width, 3]);
}

/** Bytes 0 … 255 as values −1 … 1, from `offset` on. */
export function writeUnitValues(bytes: Uint8Array, values: Float32Array, offset: number): void {
  for (let i = 0; i < bytes.length; i++) values[offset + i] = (bytes[i] ?? 0) / 127.5 - 1;
}

/**
 * `[batch, height, width, 3 or 4]` with values −1 … 1 → pictures; what lies outside is taken for the nearest end.
 *
 * @throws {ShapeError} when the tensor is of another shape.
 */
export async function picturesOfTensor(tensor: Tensor): Promise<Picture[]> {
  const [batch = 0, height = 0, width = 0, channels] = tensor.shape;
  if (tensor.shape.length !== 4 || (channels !== 3 && channels !== 4))
    throw new ShapeError(`pictures: [${tensor.shape.join(", ")}] are none; give [batch, height, width, 3 or 4]`);
  const values = await tensor.read();
  const size = height * width * channels;
  return Array.from({ length: batch }, (_, i) => {
    const bytes = new Uint8ClampedArray(size);
    for (let j = 0; j < size; j++) bytes[j] = ((values[i * size + j] ?? 0) + 1) * 127.5;
    return { width, height, channels, bytes: new Uint8Array(bytes.buffer) };
  });
}
