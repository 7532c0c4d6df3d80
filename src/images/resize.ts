import { SettingsError } from "../core/errors.ts";
import type { Picture } from "./picture.ts";
import { crop } from "./picture.ts";

/** How pixels of another size come from those there are. */
export type Resampling = "area" | "bilinear" | "bicubic";

/**
 * Weights of one axis: output i is the sum of `count` inputs from `first[i]`, by `weights[i · count + …]`, which sum to 1.
 */
interface AxisWeights {
  readonly count: number;
  readonly first: Int32Array;
  readonly weights: Float64Array;
}

/** Half the width of each filter, and its height at a distance in pixels of the coarser grid. */
const filters = {
  bilinear: { support: 1, at: (x: number): number => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, at: cubic },
} as const;

/** Keys' cubic with a = −1/2, which Pillow and CLIP's preprocessing use. */
function cubic(signed: number): number {
  const x = Math.abs(signed);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/**
 * The picture in another size. `area` averages what lies under each new pixel, parts of pixels by their share;
 * `bilinear` and `bicubic` widen their filter when the picture becomes smaller (antialiasing, as Pillow does). Colours
 * are weighed by their alpha.
 *
 * @throws {SettingsError} when the size is none.
 */
export function resize(picture: Picture, width: number, height: number, resampling: Resampling = "area"): Picture {
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0))
    throw new SettingsError(`resize: ${width} × ${height} is no size; give two whole numbers above 0`);
  const { channels } = picture;
  if (width === picture.width && height === picture.height) return picture;
  const across = alongRows(premultiplied(picture), picture, axisWeights(picture.width, width, resampling));
  const down = alongColumns(across, width * channels, axisWeights(picture.height, height, resampling));
  return { width, height, channels, bytes: toBytes(down, channels) };
}

/** The largest square in the middle of a picture, in another size. */
export function resizeSquare(picture: Picture, size: number, resampling: Resampling = "area"): Picture {
  const { width, height } = picture;
  const scale = size / Math.min(width, height);
  const [newWidth, newHeight] = [width, height].map((side) => Math.max(size, Math.round(side * scale)));
  const resized = resize(picture, newWidth ?? size, newHeight ?? size, resampling);
  if (resized.width === resized.height) return resized;
  return crop(resized, (resized.width - size) >> 1, (resized.height - size) >> 1, size, size);
}

function axisWeights(from: number, to: number, resampling: Resampling): AxisWeights {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const filter = resampling === "area" ? null : filters[resampling];
  const reach = filter ? filter.support * stretch : scale / 2;
  const count = Math.min(from, Math.ceil(reach) * 2 + 1);
  const first = new Int32Array(to);
  const weights = new Float64Array(to * count);
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale;
    const start = Math.min(from - count, Math.max(0, Math.floor(center - reach)));
    first[i] = start;
    let sum = 0;
    for (let k = 0; k < count; k++) {
      const weight = filter
        ? filter.at((start + k + 0.5 - center) / stretch)
        : Math.max(0, Math.min(start + k + 1, center + reach) - Math.max(start + k, center - reach));
      weights[i * count + k] = weight;
      sum += weight;
    }
    for (let k = 0; k < count; k++) weights[i * count + k] = (weights[i * count + k] ?? 0) / sum;
  }
  return { count, first, weights };
}

function premultiplied({ channels, bytes }: Picture): Float64Array {
  const out = Float64Array.from(bytes);
  for (let i = 3; channels === 4 && i < out.length; i += 4) {
    const share = (out[i] ?? 0) / 255;
    for (let c = 1; c <= 3; c++) out[i - c] = (out[i - c] ?? 0) * share;
  }
  return out;
}

function alongRows(values: Float64Array, { width, height, channels }: Picture, axis: AxisWeights): Float64Array {
  const columns = axis.first.length;
  const out = new Float64Array(height * columns * channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < columns; x++) {
      const from = (y * width + (axis.first[x] ?? 0)) * channels;
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let k = 0; k < axis.count; k++)
          sum += (axis.weights[x * axis.count + k] ?? 0) * (values[from + k * channels + c] ?? 0);
        out[(y * columns + x) * channels + c] = sum;
      }
    }
  }
  return out;
}

function alongColumns(values: Float64Array, stride: number, axis: AxisWeights): Float64Array {
  const rows = axis.first.length;
  const out = new Float64Array(rows * stride);
  for (let y = 0; y < rows; y++) {
    for (let k = 0; k < axis.count; k++) {
      const weight = axis.weights[y * axis.count + k] ?? 0;
      const from = ((axis.first[y] ?? 0) + k) * stride;
      for (let i = 0; weight !== 0 && i < stride; i++)
        out[y * stride + i] = (out[y * stride + i] ?? 0) + weight * (values[from + i] ?? 0);
    }
  }
  return out;
}

function toBytes(values: Float64Array, channels: number): Uint8Array {
  const out = new Uint8ClampedArray(values.length);
  for (let i = 0; i < values.length; i++) {
    const alpha = channels === 4 && i % 4 !== 3 ? (values[i | 3] ?? 0) / 255 : 1;
    out[i] = alpha > 0 ? (values[i] ?? 0) / alpha : 0;
  }
  return new Uint8Array(out.buffer);
}
