/** Colours of lines, told apart by most eyes. */
export const colours = [
  "#4477aa",
  "#ee6677",
  "#228833",
  "#b8860b",
  "#0f8fb0",
  "#aa3377",
  "#777777",
  "#222222",
] as const;

/** A line of a chart. */
export interface Line {
  readonly label: string;
  readonly colour: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** Of a {@link lineChart}, in pixels. */
export const chartSize = { width: 540, height: 330 };

const { width, height } = chartSize;
const margin = { left: 52, right: 12, top: 14, bottom: 44 };

/** Lines over two axes, as SVG. */
export function lineChart(lines: readonly Line[], labels: { readonly x: string; readonly y: string }): string {
  const all = lines.flatMap(({ points }) => points);
  const xs = ticks(0, Math.max(...all.map(([x]) => x)));
  const ys = ticks(Math.min(...all.map(([, y]) => y)), Math.max(...all.map(([, y]) => y)));
  const x = scale(0, Math.max(...all.map(([value]) => value)), margin.left, width - margin.right);
  const y = scale(ys[0] ?? 0, ys.at(-1) ?? 1, height - margin.bottom, margin.top);
  const path = (points: Line["points"]): string =>
    points.map(([px, py], i) => `${i === 0 ? "M" : "L"}${x(px)} ${y(py)}`).join("");
  return [
    `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    ...ys.map(
      (at) =>
        `<path class="grid" d="M${margin.left} ${y(at)}H${width - margin.right}"/>` +
        `<text x="${margin.left - 6}" y="${Number(y(at)) + 4}" text-anchor="end">${number(at)}</text>`,
    ),
    ...xs
      .filter((at) => Number(x(at)) <= width - margin.right + 1)
      .map((at) => `<text x="${x(at)}" y="${height - margin.bottom + 16}" text-anchor="middle">${number(at)}</text>`),
    `<path class="axis" d="M${margin.left} ${height - margin.bottom}H${width - margin.right}"/>`,
    `<text x="${(margin.left + width) / 2}" y="${height - 8}" text-anchor="middle">${labels.x}</text>`,
    `<text transform="translate(13 ${height / 2 - 12}) rotate(-90)" text-anchor="middle">${labels.y}</text>`,
    ...lines.map(
      ({ label, colour, points }) =>
        `<path d="${path(points)}" fill="none" stroke="${colour}" stroke-width="2"><title>${label}</title></path>`,
    ),
    "</svg>",
  ].join("");
}

/** A square of cells, each as dark as its value from 0 to 1, as SVG. */
export function grid(
  values: readonly number[],
  columns: number,
  {
    cell,
    rowLabels = [],
    columnLabels = [],
  }: { cell: number; rowLabels?: readonly string[]; columnLabels?: readonly string[] },
): string {
  const rows = values.length / columns;
  const [left, top] = [rowLabels.length > 0 ? 62 : 1, columnLabels.length > 0 ? 56 : 1];
  const lean = columnLabels.length > 0 ? 34 : 1; // how far the last label leans out
  const [wide, high] = [left + columns * cell + lean, top + rows * cell + 1];
  return [
    `<svg viewBox="0 0 ${wide} ${high}" width="${wide}" height="${high}" role="img">`,
    ...values.map((value, at) => {
      const [row, column] = [Math.floor(at / columns), at % columns];
      const place = `x="${left + column * cell}" y="${top + row * cell}" width="${cell}" height="${cell}"`;
      const title =
        rowLabels.length > 0
          ? `<title>${inHtml(rowLabels[row])} → ${inHtml(columnLabels[column])}: ${value.toFixed(2)}</title>`
          : "";
      return `<rect class="cell" ${place} fill-opacity="${value.toFixed(3)}">${title}</rect>`;
    }),
    `<rect class="frame" x="${left}" y="${top}" width="${columns * cell}" height="${rows * cell}"/>`,
    ...rowLabels.map(
      (label, row) =>
        `<text x="${left - 4}" y="${top + (row + 0.5) * cell + 4}" text-anchor="end">${inHtml(shortened(label))}</text>`,
    ),
    ...columnLabels.map(
      (label, column) =>
        `<text transform="translate(${left + (column + 0.5) * cell + 4} ${top - 4}) rotate(-60)">${inHtml(shortened(label))}</text>`,
    ),
    "</svg>",
  ].join("");
}

/** As much of a label as there is room for. */
function shortened(label: string): string {
  return label.length > 9 ? `${label.slice(0, 8)}…` : label;
}

/** Text as it may stand in HTML. */
export function inHtml(text = ""): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\n", "<br>");
}

function scale(from: number, to: number, start: number, end: number): (value: number) => string {
  return (value) => (start + ((value - from) / Math.max(to - from, 1e-9)) * (end - start)).toFixed(1);
}

/** Round numbers that cover a range. */
function ticks(from: number, to: number): number[] {
  const rough = Math.max(to - from, 1e-9) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((times) => times * power >= rough) ?? 10) * power;
  const first = Math.floor(from / step);
  return Array.from({ length: Math.ceil(to / step) - first + 1 }, (_, i) => (first + i) * step);
}

function number(value: number): string {
  return String(Number(value.toPrecision(3)));
}
