import type { Picture } from "./picture.ts";

/** At most 256 colours, and which of them each pixel has. */
export interface Palette {
  /** `[colours, 3]` */
  readonly colours: Uint8Array;
  /** The index of a colour, as red · 65,536 + green · 256 + blue. */
  readonly indexOf: (colour: number) => number;
}

/** A colour that occurs, and how often. */
interface Counted {
  readonly rgb: readonly [number, number, number];
  readonly count: number;
}

/**
 * Colours for pictures without alpha: their own, where there are at most `most`; otherwise means of boxes, of which the
 * one with the longest side, times the root of its pixels, is cut at its median until there are as many.
 *
 * @see Heckbert (1982), "Color image quantization for frame buffer display", SIGGRAPH.
 */
export function paletteOf(pictures: readonly Picture[], most: number): Palette {
  const counts = new Map<number, number>();
  for (const { bytes } of pictures) {
    for (let i = 0; i < bytes.length; i += 3) {
      const key = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  const colours = [...counts].map(
    ([key, count]): Counted => ({ rgb: [key >> 16, (key >> 8) & 255, key & 255], count }),
  );
  const boxes = [colours];
  while (boxes.length < Math.min(most, counts.size)) {
    const widest = boxes.reduce((best, box, i) => (weight(box) > weight(boxes[best] ?? []) ? i : best), 0);
    boxes.splice(widest, 1, ...cut(boxes[widest] ?? []));
  }
  const indices = new Map(boxes.flatMap((box, i) => box.map(({ rgb: [r, g, b] }) => [(r << 16) | (g << 8) | b, i])));
  const flat = boxes.flatMap((box) => [0, 1, 2].map((axis) => Math.round(meanOf(box, axis))));
  return { colours: Uint8Array.from(flat), indexOf: (colour) => indices.get(colour) ?? 0 };
}

function meanOf(box: readonly Counted[], axis: number): number {
  const total = box.reduce((sum, { count }) => sum + count, 0);
  return box.reduce((sum, { rgb, count }) => sum + (rgb[axis] ?? 0) * count, 0) / total;
}

function sides(box: readonly Counted[]): number[] {
  return [0, 1, 2].map((axis) => {
    let [low, high] = [255, 0];
    for (const { rgb } of box) {
      low = Math.min(low, rgb[axis] ?? 0);
      high = Math.max(high, rgb[axis] ?? 0);
    }
    return high - low;
  });
}

function weight(box: readonly Counted[]): number {
  return box.length < 2 ? -1 : Math.max(...sides(box)) * Math.sqrt(box.reduce((sum, { count }) => sum + count, 0));
}

/** Two boxes of a box of two colours or more, each with about half of the pixels. */
function cut(box: readonly Counted[]): [Counted[], Counted[]] {
  const lengths = sides(box);
  const axis = lengths.indexOf(Math.max(...lengths));
  const sorted = box.toSorted((a, b) => (a.rgb[axis] ?? 0) - (b.rgb[axis] ?? 0));
  const half = sorted.reduce((sum, { count }) => sum + count, 0) / 2;
  let [seen, at] = [0, 0];
  while (at < sorted.length - 1 && seen + (sorted[at]?.count ?? 0) <= half) seen += sorted[at++]?.count ?? 0;
  at = Math.max(1, at);
  return [sorted.slice(0, at), sorted.slice(at)];
}
