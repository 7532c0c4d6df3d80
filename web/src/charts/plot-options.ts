import type uPlot from "uplot";
import { formatNumber } from "../../../src/cli/metric-text.ts";
import { durationText } from "../format.ts";
import type { Axis, Curve } from "./curves.ts";
import { smoothed } from "./curves.ts";

/** How the lines of different runs differ where colours do not: lengths of strokes and gaps. */
export const dashes: readonly number[][] = [[], [7, 4], [2, 3], [10, 3, 2, 3], [14, 5], [4, 4]];

/** A curve in the colour and dash of its run. */
export interface ShownCurve {
  readonly name: string;
  readonly place: number;
  readonly curve: Curve;
}

/** What a chart looks like. */
export interface ChartLook {
  readonly axis: Axis;
  readonly isLog: boolean;
  /** Share of the range that a mean is over; 0 draws the values alone. */
  readonly smoothing: number;
  /** Colours as the page has them now. */
  readonly colours: { readonly series: readonly string[]; readonly ink: string; readonly grid: string };
  readonly font: string;
}

/** Values of a chart for uPlot: x, then for each curve what {@link seriesOf} says. Null where they are none. */
export function plotData(
  curves: readonly ShownCurve[],
  { isLog, smoothing }: ChartLook,
  join: typeof uPlot.join,
): uPlot.AlignedData {
  if (curves.length === 0) return [[]];
  const drawable = (values: readonly number[]): (number | null)[] =>
    values.map((value) => (isLog && value <= 0 ? null : value));
  const tables = curves.map(({ curve }) => {
    const columns = [drawable(curve.mean), drawable(curve.low ?? curve.mean), drawable(curve.high ?? curve.mean)];
    if (smoothing > 0) columns.push(drawable(smoothed(curve, smoothing)));
    return [curve.x as number[], ...columns] as uPlot.AlignedData;
  });
  return tables.length === 1 ? (tables[0] ?? [[]]) : join(tables);
}

/** Options of a chart, without its size. */
export function plotOptions(
  curves: readonly ShownCurve[],
  look: ChartLook,
  onZoom: (from: number, to: number) => void,
): Omit<uPlot.Options, "width" | "height"> {
  const { axis, isLog, colours } = look;
  const lines = { stroke: colours.ink, grid: { stroke: colours.grid, width: 1 }, ticks: { show: false } };
  const perCurve = look.smoothing > 0 ? 4 : 3;
  return {
    legend: { show: false },
    padding: [8, 18, 0, 0],
    cursor: { sync: { key: "runs" }, drag: { x: true, y: false, setScale: false }, points: { size: 7 } },
    scales: { x: { time: false }, y: { distr: isLog ? 3 : 1 } },
    axes: [
      { ...lines, font: look.font, size: 28, gap: 4, values: (_, ticks) => ticks.map((tick) => axisText(tick, axis)) },
      { ...lines, font: look.font, size: 58, gap: 6, values: (_, ticks) => ticks.map(tickText) },
    ],
    series: [{}, ...curves.flatMap((curve) => seriesOf(curve, look))],
    bands: curves.flatMap(({ place }, i) => {
      const first = 1 + i * perCurve;
      return { series: [first + 2, first + 1] as [number, number], fill: `${colourOf(place, look)}2b` };
    }),
    hooks: {
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width > 4) onZoom(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
}

/** Of each curve: values, lowest and highest (of which only the ground in between is drawn), and their mean. */
function seriesOf({ place, curve }: ShownCurve, look: ChartLook): uPlot.Series[] {
  const stroke = colourOf(place, look);
  const dash = dashes[place % dashes.length] ?? [];
  const isSmooth = look.smoothing > 0;
  const points = { show: curve.x.length === 1 || curve.x.length < 30, size: 5, fill: stroke, stroke };
  const raw = {
    stroke: isSmooth ? `${stroke}50` : stroke,
    width: isSmooth ? 1 : 1.75,
    dash: isSmooth ? [] : dash,
    spanGaps: true,
    points,
  };
  const edge = { stroke: "transparent", width: 0, spanGaps: true, points: { show: false } };
  return [raw, edge, edge, ...(isSmooth ? [{ stroke, width: 2, dash, spanGaps: true, points: { show: false } }] : [])];
}

function colourOf(place: number, { colours }: ChartLook): string {
  return colours.series[place % colours.series.length] ?? colours.ink;
}

/** A place along an axis, in a few characters. */
export function axisText(value: number | null, axis: Axis): string {
  if (value === null) return "";
  return axis === "time" ? durationText(value) : shortCount(value);
}

/** `137 k`, `1.5 M`, `124 M`. */
function shortCount(count: number): string {
  const [unit, letter] = count >= 1e9 ? [1e9, "G"] : count >= 1e6 ? [1e6, "M"] : count >= 1e4 ? [1e3, "k"] : [1, ""];
  const share = count / unit;
  if (unit === 1) return count.toLocaleString("en-US", { maximumFractionDigits: 1 });
  return `${share < 10 ? share.toFixed(1) : Math.round(share)} ${letter}`;
}

function tickText(value: number | null): string {
  if (value === null) return "";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e5 ? String(Number(value.toPrecision(5))) : formatNumber(value);
}
