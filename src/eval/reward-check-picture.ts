import type { RewardCheck } from "./reward-check.ts";

/** Size of one of the three panels, in pixels. */
const [panelWidth, panelHeight] = [260, 180];
/** Room around a panel for its title, ticks and labels. */
const margin = { left: 56, right: 14, top: 40, bottom: 44 };

interface Axis {
  readonly label: string;
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly number[];
}

/** A column between two places of the horizontal axis. */
interface Column {
  readonly from: number;
  readonly to: number;
  readonly value: number;
  readonly isGood: boolean;
}

interface Panel {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly columns: readonly Column[];
  /** What to compare with: a line from one point to another, or none. */
  readonly line: readonly [from: readonly [x: number, y: number], to: readonly [x: number, y: number]] | null;
}

/** A {@link RewardCheck} as a picture, SVG: accuracy by rank distance, margins, and calibration with its diagonal. */
export function rewardCheckPicture(check: RewardCheck): string {
  const panels = [distancePanel(check), marginPanel(check), calibrationPanel(check)];
  const [wide, high] = [margin.left + panelWidth + margin.right, margin.top + panelHeight + margin.bottom];
  const [width, height] = [panels.length * wide, high];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...panels.flatMap((panel, i) => draw(panel, i * wide + margin.left)),
    "</svg>\n",
  ].join("\n");
}

const share = (label: string): Axis => ({ label, from: 0, to: 1, ticks: [0, 0.25, 0.5, 0.75, 1] });

function distancePanel({ byDistance }: RewardCheck): Panel {
  const last = Math.max(1, ...byDistance.map(({ distance }) => distance));
  const [from, to] = [0.5, last + 0.5];
  return {
    title: "accuracy by ranks apart",
    x: { label: "ranks between the two", from, to, ticks: roundNumbers(1, last) },
    y: share("pairs in the right order"),
    columns: byDistance.map(({ distance, accuracy: value }) => ({
      ...{ from: distance - 0.4, to: distance + 0.4, value, isGood: value > 0.5 },
    })),
    line: [
      [from, 0.5],
      [to, 0.5],
    ],
  };
}

function marginPanel({ margins }: RewardCheck): Panel {
  const [from, to] = [margins[0]?.from ?? -1, margins.at(-1)?.to ?? 1];
  const ticks = roundNumbers(0, Math.max(1, ...margins.map(({ pairs }) => pairs)));
  return {
    title: "margin",
    x: { label: "reward of the better − of the worse", from, to, ticks: [from, from / 2, 0, to / 2, to] },
    y: { label: "pairs", from: 0, to: ticks.at(-1) ?? 1, ticks },
    columns: margins.map((bin) => ({ from: bin.from, to: bin.to, value: bin.pairs, isGood: bin.from >= 0 })),
    line: null,
  };
}

function calibrationPanel({ calibration }: RewardCheck): Panel {
  return {
    title: "right, by how sure it is",
    x: { label: "how sure: σ(difference of rewards)", from: 0.5, to: 1, ticks: [0.5, 0.6, 0.7, 0.8, 0.9, 1] },
    y: share("pairs in the right order"),
    columns: calibration.map(({ confidence, accuracy: value }) => ({
      ...{ from: confidence - 0.02, to: confidence + 0.02, value, isGood: value >= confidence },
    })),
    line: [
      [0.5, 0.5],
      [1, 1],
    ],
  };
}

function draw({ title, x: across, y: up, columns, line }: Panel, left: number): string[] {
  const [right, top, bottom] = [left + panelWidth, margin.top, margin.top + panelHeight];
  const within = (value: number, { from, to }: Axis): number => Math.min(1, Math.max(0, (value - from) / (to - from)));
  const x = (value: number): number => left + panelWidth * within(value, across);
  const y = (value: number): number => bottom - panelHeight * within(value, up);
  const text = (at: number, height: number, words: string, more = 'text-anchor="middle"'): string =>
    `<text x="${at.toFixed(1)}" y="${height.toFixed(1)}" ${more}>${words}</text>`;
  const bar = ({ from, to, value, isGood }: Column): string => {
    const height = Number.isFinite(value) ? y(0) - y(value) : 0;
    const size = `width="${(x(to) - x(from) - 1).toFixed(1)}" height="${height.toFixed(1)}"`;
    const place = `x="${x(from).toFixed(1)}" y="${(bottom - height).toFixed(1)}"`;
    return `<rect ${place} ${size} fill="${isGood ? "#2a7f62" : "#b5483a"}"><title>${number(value)}</title></rect>`;
  };
  const point = ([px, py]: readonly [number, number]): string => `${x(px).toFixed(1)} ${y(py).toFixed(1)}`;
  return [
    text((left + right) / 2, top - 16, title, 'text-anchor="middle" font-weight="bold"'),
    ...up.ticks.flatMap((at) => [
      `<path d="M${left} ${y(at).toFixed(1)}H${right}" stroke="#ddd"/>`,
      text(left - 6, y(at) + 4, number(at), 'text-anchor="end"'),
    ]),
    ...columns.map(bar),
    ...across.ticks.flatMap((at) => [
      `<path d="M${x(at).toFixed(1)} ${bottom}v4" stroke="black"/>`,
      text(x(at), bottom + 16, number(at)),
    ]),
    `<path d="M${left} ${top}V${bottom}H${right}" fill="none" stroke="black"/>`,
    ...(line === null ? [] : [`<path d="M${point(line[0])}L${point(line[1])}" stroke="black" stroke-dasharray="4"/>`]),
    text((left + right) / 2, bottom + 34, across.label),
    `<text transform="translate(${left - 42} ${(top + bottom) / 2}) rotate(-90)" text-anchor="middle">${up.label}</text>`,
  ];
}

/** At most seven round numbers, evenly apart, from `from` to `to` or just beyond. */
function roundNumbers(from: number, to: number): number[] {
  const rough = Math.max(to - from, 1) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, ([1, 2, 5, 10].find((times) => times * power >= rough) ?? 10) * power);
  return Array.from({ length: Math.ceil((to - from) / step) + 1 }, (_, i) => from + i * step);
}

function number(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : "no pairs";
}
