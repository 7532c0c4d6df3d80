import { lineColour, svgDocument } from "./svg-theme.ts";

/** A curve: points in the order of x. */
export interface Line {
  /** What stands at its end. */
  readonly name: string;
  readonly points: readonly Point[];
}

/** A place in the units of the axes. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Some curves over the same axes; that of x is the same in all panels of a picture. */
export interface LinePanel {
  readonly x: string;
  readonly y: string;
  /** Lines of one index have one colour in all panels; one without points leaves its colour out. */
  readonly lines: readonly Line[];
}

const width = 760;
const height = 320;
const margins = { marginTop: 34, marginBottom: 40, marginLeft: 56 } as const;
const plotHeight = height - margins.marginTop - margins.marginBottom;
/** Rough width of a letter, and least distance between two names, in pixels. */
const [letter, row] = [6.2, 14];
const longestName = 32;
/** Points of a line from which on a mean is drawn over it, and the most that are drawn. */
const [noisyPoints, mostPoints] = [60, 1000];

/**
 * Panels of curves below each other, as an SVG document for light and dark pages. A long curve is drawn faintly, with
 * the mean of a fortieth of its points over it; names stand at the ends of the lines.
 */
export async function lineCharts(panels: readonly LinePanel[]): Promise<string> {
  const names = panels.flatMap(({ lines }) => lines.map(({ name }) => shorten(name).length));
  const marginRight = 24 + letter * Math.max(1, ...names);
  const across = rangeOf(
    panels.flatMap(({ lines }) => lines.flatMap(({ points }) => points.map(({ x }) => x))),
    0,
  );
  const drawn = await Promise.all(panels.map((panel) => drawPanel(panel, across, marginRight)));
  return svgDocument(
    width,
    drawn.map((svg) => ({ svg, height })),
  );
}

async function drawPanel({ x, y, lines }: LinePanel, across: Range, marginRight: number): Promise<string> {
  // Loaded when a picture is drawn: they take a second, which no other command should wait for.
  const [Plot, { parseHTML }] = await Promise.all([import("@observablehq/plot"), import("linkedom")]);
  const domain = rangeOf(lines.flatMap(({ points }) => points.map((point) => point.y)));
  const place = { x: "x", y: "y" } as const;
  const curves = lines.flatMap(({ points }, i) => {
    const stroke = lineColour(i);
    const isNoisy = points.length > noisyPoints;
    const mean = Plot.lineY(thin(isNoisy ? movingMean(points) : points), { ...place, stroke, strokeWidth: 1.8 });
    const dots = Plot.dot(points.length <= noisyPoints / 2 ? points : [], { ...place, fill: stroke, r: 2.5 });
    return [isNoisy ? Plot.lineY(thin(points), { ...place, stroke, strokeOpacity: 0.25 }) : null, mean, dots];
  });
  const labels = labelsOf(lines, domain).map(({ text, at, colour }) =>
    Plot.text([at], { ...place, text: [text], fill: colour, textAnchor: "start", dx: 8, fontWeight: "bold" }),
  );
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const svg = Plot.plot({
    ...{ document, width, height, marginRight, ...margins },
    style: { background: "transparent", fontSize: "11px" },
    x: { label: x, domain: across },
    y: { label: y, domain, grid: true },
    marks: [...curves, ...labels],
  });
  return String(svg.outerHTML);
}

type Range = [from: number, to: number];

/** From the least to the greatest value with a share of room at both ends; around a single value, so that it has a place. */
function rangeOf(values: readonly number[], room = 0.04): Range {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) [least, most] = [Math.min(least, value), Math.max(most, value)];
  if (!(least <= most)) return [0, 1];
  const pad = most > least ? room * (most - least) : Math.abs(most) * 0.1 || 1;
  return [least - pad, most + pad];
}

interface Label {
  readonly text: string;
  readonly at: Point;
  readonly colour: string;
}

/** Names beside the ends of the lines, moved apart where they would lie on each other. */
function labelsOf(lines: readonly Line[], [low, high]: Range): Label[] {
  const perPixel = (high - low) / plotHeight;
  const right = Math.max(...lines.flatMap(({ points }) => points.at(-1)?.x ?? []));
  const labels = lines.flatMap(({ name, points }, i) => {
    const last = (points.length > noisyPoints ? movingMean(points) : points).at(-1);
    return last === undefined ? [] : [{ text: shorten(name), y: last.y, colour: lineColour(i) }];
  });
  let above = Number.POSITIVE_INFINITY;
  return labels
    .sort((a, b) => b.y - a.y)
    .map(({ text, y, colour }) => {
      above = Math.min(y, above - row * perPixel);
      return { text, colour, at: { x: right, y: above } };
    });
}

/** The mean of a fortieth of the points around each. */
function movingMean(points: readonly Point[]): Point[] {
  const reach = Math.max(1, Math.round(points.length / 80));
  const sums = [0];
  for (const { y } of points) sums.push((sums.at(-1) ?? 0) + y);
  return points.map(({ x }, i) => {
    const from = Math.max(0, i - reach);
    const to = Math.min(points.length, i + reach + 1);
    return { x, y: ((sums[to] ?? 0) - (sums[from] ?? 0)) / (to - from) };
  });
}

/** The lowest and the highest point of each stretch, so that a picture of a long run stays small and no peak is lost. */
function thin(points: readonly Point[]): readonly Point[] {
  if (points.length <= mostPoints) return points;
  const stretch = Math.ceil((2 * points.length) / mostPoints);
  return Array.from({ length: Math.ceil(points.length / stretch) }, (_, i) => {
    const part = points.slice(i * stretch, (i + 1) * stretch);
    const first = part[0] as Point;
    const low = part.reduce((best, point) => (point.y < best.y ? point : best), first);
    const high = part.reduce((best, point) => (point.y > best.y ? point : best), first);
    return low.x <= high.x ? [low, high] : [high, low];
  }).flat();
}

/** The end of a path tells runs apart. */
function shorten(name: string): string {
  return name.length <= longestName ? name : `…${name.slice(1 - longestName)}`;
}
