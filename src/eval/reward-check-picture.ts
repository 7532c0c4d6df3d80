import type { RewardCheck } from "./reward-check.ts";

/** Size of one of the three panels, in pixels, with room for its labels. */
const [panelWidth, panelHeight, gap] = [260, 180, 50];

/** One column of a panel, from 0 to `top`. */
interface Column {
  readonly label: string;
  readonly value: number;
  readonly isGood: boolean;
}

interface Panel {
  readonly title: string;
  readonly columns: readonly Column[];
  readonly top: number;
  /** A horizontal line to compare with, or null. */
  readonly line: number | null;
}

/** A {@link RewardCheck} as a picture, SVG: accuracy by rank distance, margins, and calibration. */
export function rewardCheckPicture(check: RewardCheck): string {
  const { byDistance, margins, calibration } = check;
  const panels: Panel[] = [
    {
      title: "accuracy by ranks apart",
      columns: byDistance.map(({ distance, accuracy }) => column(String(distance), accuracy, accuracy > 0.5)),
      ...{ top: 1, line: 0.5 },
    },
    {
      title: "margin, better − worse (pairs)",
      columns: margins.map(({ from, to, pairs }) => column(((from + to) / 2).toPrecision(2), pairs, from >= 0)),
      ...{ top: Math.max(1, ...margins.map(({ pairs }) => pairs)), line: null },
    },
    {
      title: "right, by how sure it is",
      columns: calibration.map((bin) =>
        column(bin.confidence.toFixed(2), bin.accuracy, bin.accuracy >= bin.confidence),
      ),
      ...{ top: 1, line: 0.5 },
    },
  ];
  const [width, height] = [panels.length * (panelWidth + gap) + gap, panelHeight + 2 * gap];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...panels.flatMap((panel, i) => draw(panel, gap + i * (panelWidth + gap))),
    "</svg>\n",
  ].join("\n");
}

function column(label: string, value: number, isGood: boolean): Column {
  return { label, value: Number.isFinite(value) ? value : 0, isGood };
}

function draw({ title, columns, top, line }: Panel, left: number): string[] {
  const step = panelWidth / Math.max(columns.length, 1);
  const y = (value: number): number => gap + panelHeight * (1 - value / top);
  const text = (x: number, at: number, words: string): string =>
    `<text x="${x.toFixed(1)}" y="${at.toFixed(1)}" text-anchor="middle">${words}</text>`;
  return [
    text(left + panelWidth / 2, gap - 20, title),
    ...columns.flatMap(({ label, value, isGood }, i) => {
      const x = left + i * step;
      const size = `width="${(step - 4).toFixed(1)}" height="${(y(0) - y(value)).toFixed(1)}"`;
      const shown = top === 1 ? value.toFixed(2) : String(value);
      return [
        `<rect x="${x.toFixed(1)}" y="${y(value).toFixed(1)}" ${size} fill="${isGood ? "#2a7f62" : "#b5483a"}"/>`,
        text(x + step / 2 - 2, y(value) - 4, shown),
        text(x + step / 2 - 2, y(0) + 14, label),
      ];
    }),
    `<path d="M${left} ${y(0)}h${panelWidth}" stroke="black"/>`,
    ...(line === null ? [] : [`<path d="M${left} ${y(line)}h${panelWidth}" stroke="gray" stroke-dasharray="4"/>`]),
  ];
}
