import type { DrawReader } from "../core/random.ts";
import type { Picture } from "./picture.ts";

/** How far {@link augment} goes, at most; 0 or 1 is off. */
export interface Augmentation {
  /** Smallest and largest size of what is shown; its sides differ by up to three tenths of that range. */
  readonly scale: readonly [number, number];
  /** Degrees to either side. */
  readonly rotation: number;
  /** Share of the side, along each axis. */
  readonly shift: number;
  /** Factor of contrast, and of saturation: between 1 − c and 1 + c; each colour is brighter or darker by up to 0.3 c. */
  readonly contrast: number;
  /** Probability of a mirror image. */
  readonly mirror: number;
}

/**
 * A picture moved, turned, scaled and coloured by chance, as values −1 … 1 `[size, size, 3]`; white comes in from outside.
 * The same numbers of `random` give the same picture.
 *
 * @param picture - Without alpha.
 */
export function augment(picture: Picture, size: number, how: Augmentation, random: DrawReader): Float32Array {
  const between = (low: number, high: number): number => low + (high - low) * random.uniform();
  const angle = (between(-how.rotation, how.rotation) * Math.PI) / 180;
  const scale = between(...how.scale);
  const stretch = Math.exp(between(-0.5, 0.5) * Math.log(how.scale[1] / how.scale[0]) * 0.3);
  const shift = [between(-how.shift, how.shift), between(-how.shift, how.shift)] as const;
  const mirror = random.uniform() < how.mirror ? -1 : 1;
  const [contrast, saturation] = [
    between(1 - how.contrast, 1 + how.contrast),
    between(1 - how.contrast, 1 + how.contrast),
  ];
  const brightness = [0, 1, 2].map(() => between(-how.contrast, how.contrast) * 0.3);
  const cos = Math.cos(angle) / scale;
  const sin = Math.sin(angle) / scale;
  const [left, top] = shift;
  const out = new Float32Array(size * size * 3);
  const pixel = new Float64Array(3);
  let at = 0;
  for (let y = 0; y < size; y++) {
    const v = (2 * (y + 0.5)) / size - 1 - 2 * top;
    for (let x = 0; x < size; x++) {
      const u = (2 * (x + 0.5)) / size - 1 - 2 * left;
      sample(picture, mirror * (cos * u + sin * v) * stretch, (cos * v - sin * u) / stretch, pixel);
      const grey = ((pixel[0] ?? 0) + (pixel[1] ?? 0) + (pixel[2] ?? 0)) / 3;
      for (let c = 0; c < 3; c++) {
        const value = (grey + ((pixel[c] ?? 0) - grey) * saturation) / 127.5 - 1;
        out[at++] = value * contrast + (brightness[c] ?? 0);
      }
    }
  }
  return out;
}

/**
 * The colour at a place of a picture, whose sides are at −1 and 1, between its four nearest pixels. Of all that a step of
 * training does in JavaScript this is most: it makes nothing but numbers.
 */
function sample({ width, height, bytes }: Picture, u: number, v: number, pixel: Float64Array): void {
  const x = ((u + 1) / 2) * width - 0.5;
  const y = ((v + 1) / 2) * height - 0.5;
  const left = Math.floor(x);
  const top = Math.floor(y);
  const right = x - left;
  const down = y - top;
  const hasLeft = isWithin(left, width);
  const hasRight = isWithin(left + 1, width);
  const hasTop = isWithin(top, height);
  const hasBottom = isWithin(top + 1, height);
  const at = 3 * (top * width + left);
  const below = at + 3 * width;
  for (let c = 0; c < 3; c++) {
    const first = valueAt(bytes, at + c, hasTop && hasLeft);
    const second = valueAt(bytes, at + 3 + c, hasTop && hasRight);
    const third = valueAt(bytes, below + c, hasBottom && hasLeft);
    const fourth = valueAt(bytes, below + 3 + c, hasBottom && hasRight);
    const upper = first + right * (second - first);
    pixel[c] = upper + down * (third + right * (fourth - third) - upper);
  }
}

function isWithin(place: number, length: number): boolean {
  return place >= 0 && place < length;
}

/** White outside the picture. */
function valueAt(bytes: Uint8Array, at: number, isInside: boolean): number {
  return isInside ? (bytes[at] ?? 0) : 255;
}
