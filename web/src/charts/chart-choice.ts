import type { Axis } from "./curves.ts";

/** Steps that charts are zoomed to, the last one included. */
export interface StepRange {
  readonly from: number;
  readonly to: number;
}

/** What is chosen for all charts of a page; it stands in the address. */
export interface ChartChoice {
  readonly axis: Axis;
  readonly isLog: boolean;
  /** Share of the range that a mean is over; 0 is none. */
  readonly smoothing: number;
  readonly range: StepRange | null;
}

/** Shares of the range that may be chosen for smoothing. */
export const smoothings: readonly number[] = [0, 0.01, 0.02, 0.05, 0.1, 0.2];

/** The choice that an address holds; what it does not say, or says wrongly, is as usual. */
export function chartChoice(query: URLSearchParams): ChartChoice {
  const axis = query.get("x");
  const smoothing = Number(query.get("smooth") ?? Number.NaN);
  const [from, to] = [wholeNumber(query.get("from")), wholeNumber(query.get("to"))];
  return {
    axis: axis === "tokens" || axis === "time" ? axis : "step",
    isLog: query.get("y") === "log",
    smoothing: smoothings.includes(smoothing) ? smoothing : 0.02,
    range: from !== null && to !== null && to > from ? { from, to } : null,
  };
}

function wholeNumber(text: string | null): number | null {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
}
