/** On which side of its column a cell stands. */
export type Alignment = "left" | "right";

/** One column of a table, and what becomes of it where there is little room. */
export interface Column {
  readonly side: Alignment;
  /** Characters that its cells may be shortened to; never when left out. */
  readonly least?: number;
  /** Which end of a cell stays when it is shortened. Default: the start. */
  readonly keeps?: "start" | "end";
  /** The column is left out where shortening is not enough: the highest number first, never when left out. */
  readonly dropped?: number;
}

/** Characters between two columns. */
const gap = 2;

/**
 * Rows of cells as lines, each column as wide as its widest cell, two spaces apart; where that is wider than `width`,
 * the widest cells are shortened and the least columns left out.
 */
export function tableLines(
  rows: readonly (readonly string[])[],
  columns: readonly Column[],
  width = Number.POSITIVE_INFINITY,
): string[] {
  const all = columns.map((column, place) => {
    const longest = Math.max(0, ...rows.map((row) => row[place]?.length ?? 0));
    return { ...column, place, longest, least: Math.min(longest, column.least ?? longest) };
  });
  const fitted = fittedWidths(all, width);
  return rows.map((row) =>
    fitted
      .map(({ place, side, keeps, width: own }) => {
        const cell = shortened(row[place] ?? "", own, keeps);
        return side === "left" ? cell.padEnd(own) : cell.padStart(own);
      })
      .join(" ".repeat(gap))
      .trimEnd(),
  );
}

interface Measured extends Column {
  readonly place: number;
  /** Characters of the longest cell. */
  readonly longest: number;
  readonly least: number;
}

/** The columns that stay, and how wide each is. */
function fittedWidths(columns: readonly Measured[], width: number): (Measured & { readonly width: number })[] {
  const room = width - gap * (columns.length - 1);
  const leasts = columns.reduce((sum, { least }) => sum + least, 0);
  const [dropped] = columns.toSorted((a, b) => (b.dropped ?? 0) - (a.dropped ?? 0));
  if (leasts > room && dropped?.dropped)
    return fittedWidths(
      columns.filter((column) => column !== dropped),
      width,
    );
  const widths = columns.map(({ longest }) => longest);
  for (let over = widths.reduce((a, b) => a + b, 0) - room; over > 0; over--) {
    const spare = columns.map(({ least }, i) => ((widths[i] ?? 0) > least ? (widths[i] ?? 0) : 0));
    const widest = spare.indexOf(Math.max(...spare));
    if (spare[widest] === 0) break; // narrower than all columns that must stay
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return columns.map((column, i) => ({ ...column, width: widths[i] ?? 0 }));
}

function shortened(cell: string, width: number, keeps: Column["keeps"] = "start"): string {
  if (cell.length <= width) return cell;
  return keeps === "start" ? `${cell.slice(0, width - 1)}…` : `…${cell.slice(cell.length - width + 1)}`;
}
