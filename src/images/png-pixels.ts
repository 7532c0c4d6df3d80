/** How a PNG file says that its pixels are kept. */
export interface PngLayout {
  readonly width: number;
  readonly height: number;
  /** Bits of a sample: 1, 2, 4, 8 or 16. */
  readonly depth: number;
  /** 0 grey, 2 colour, 3 palette, 4 grey and alpha, 6 colour and alpha. */
  readonly colourType: number;
  readonly interlaced: boolean;
}

/** Samples of a pixel by colour type. */
export const samplesOf: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** Where the pixels of a pass begin and how far apart they are. */
interface Pass {
  readonly left: number;
  readonly top: number;
  readonly stepX: number;
  readonly stepY: number;
}

/** The seven passes of Adam7 (PNG specification, section 8.2), which bring an eighth of the picture each, and more. */
const adam7: readonly Pass[] = [
  { left: 0, top: 0, stepX: 8, stepY: 8 },
  { left: 4, top: 0, stepX: 8, stepY: 8 },
  { left: 0, top: 4, stepX: 4, stepY: 8 },
  { left: 2, top: 0, stepX: 4, stepY: 4 },
  { left: 0, top: 2, stepX: 2, stepY: 4 },
  { left: 1, top: 0, stepX: 2, stepY: 2 },
  { left: 0, top: 1, stepX: 1, stepY: 2 },
];
const onePass: readonly Pass[] = [{ left: 0, top: 0, stepX: 1, stepY: 1 }];

/** A pass with its size, where it has pixels. */
interface SizedPass extends Pass {
  readonly columns: number;
  readonly rows: number;
  /** Bytes of a row without that of its filter. */
  readonly stride: number;
}

function passesOf({ width, height, depth, colourType, interlaced }: PngLayout): SizedPass[] {
  return (interlaced ? adam7 : onePass)
    .map((pass) => {
      const columns = Math.ceil((width - pass.left) / pass.stepX);
      const rows = Math.ceil((height - pass.top) / pass.stepY);
      return { ...pass, columns, rows, stride: Math.ceil((columns * depth * (samplesOf[colourType] ?? 1)) / 8) };
    })
    .filter(({ columns, rows }) => columns > 0 && rows > 0);
}

/** Bytes that the file's compressed data become. */
export function filteredLength(layout: PngLayout): number {
  return passesOf(layout).reduce((sum, { rows, stride }) => sum + rows * (stride + 1), 0);
}

/**
 * Undoes the filters and the interlacing: all samples, `[height, width, samples]`, as they lie in the file.
 *
 * @returns Null where a row has a filter that there is not.
 */
export function unfiltered(layout: PngLayout, filtered: Uint8Array): Uint16Array | null {
  const { width, height, depth, colourType } = layout;
  const samples = samplesOf[colourType] ?? 1;
  const out = new Uint16Array(width * height * samples);
  const pixelBytes = Math.max(1, (depth * samples) >> 3);
  let offset = 0;
  for (const pass of passesOf(layout)) {
    let above: Uint8Array = new Uint8Array(pass.stride);
    for (let y = 0; y < pass.rows; y++) {
      const row = filtered.subarray(offset + 1, offset + 1 + pass.stride);
      if (!undoFilter(filtered[offset] ?? 0, row, above, pixelBytes)) return null;
      const start = (pass.top + y * pass.stepY) * width + pass.left;
      for (let x = 0; x < pass.columns; x++) {
        const to = (start + x * pass.stepX) * samples;
        for (let s = 0; s < samples; s++) out[to + s] = sampleAt(row, x * samples + s, depth);
      }
      above = row;
      offset += pass.stride + 1;
    }
  }
  return out;
}

function sampleAt(row: Uint8Array, index: number, depth: number): number {
  if (depth === 8) return row[index] ?? 0;
  if (depth === 16) return ((row[2 * index] ?? 0) << 8) | (row[2 * index + 1] ?? 0);
  const bit = index * depth;
  return ((row[bit >> 3] ?? 0) >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
}

/** Undoes a row's filter in place (PNG specification, section 9.2); false where there is none of this number. */
function undoFilter(filter: number, row: Uint8Array, above: Uint8Array, pixelBytes: number): boolean {
  if (filter > 4) return false;
  for (let i = 0; filter !== 0 && i < row.length; i++) {
    const left = i < pixelBytes ? 0 : (row[i - pixelBytes] ?? 0);
    const upperLeft = i < pixelBytes ? 0 : (above[i - pixelBytes] ?? 0);
    row[i] = (row[i] ?? 0) + predicted(filter, left, above[i] ?? 0, upperLeft);
  }
  return true;
}

/** What filter 1 to 4 takes a byte for: that to the left, above, their mean, or the one that Paeth chooses. */
export function predicted(filter: number, left: number, up: number, upperLeft: number): number {
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  if (filter === 0) return 0;
  const estimate = left + up - upperLeft;
  const toLeft = Math.abs(estimate - left);
  const toUp = Math.abs(estimate - up);
  const toUpperLeft = Math.abs(estimate - upperLeft);
  if (toLeft <= toUp && toLeft <= toUpperLeft) return left;
  return toUp <= toUpperLeft ? up : upperLeft;
}
