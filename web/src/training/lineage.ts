import type { RunEntry } from "../../../src/serve/api/run-answers.ts";

/** A run in its place among those that it came from. */
export interface LineageRow {
  readonly run: RunEntry;
  /** How many runs it came from, one from another. */
  readonly depth: number;
  /** For each of these levels, whether another child of the same follows below: where a line goes on. */
  readonly goesOn: readonly boolean[];
}

/**
 * Runs as an indented tree: each below the one that its model came from, newest families last, children in the order in which
 * they were started. What came from no known run stands at the beginning of a tree.
 */
export function lineageRows(runs: readonly RunEntry[]): LineageRow[] {
  const byId = new Map(runs.map((run) => [run.id, run]));
  const children = new Map<string | null, RunEntry[]>();
  for (const run of runs) {
    const parent = parentOf(run);
    const place = parent !== null && byId.has(parent) && !isAncestor(run.id, parent, byId) ? parent : null;
    children.set(place, [...(children.get(place) ?? []), run]);
  }
  const rows: LineageRow[] = [];
  const add = (parent: string | null, goesOn: readonly boolean[]): void => {
    const siblings = (children.get(parent) ?? []).sort(byStart);
    for (const [i, run] of siblings.entries()) {
      const own = parent === null ? [] : [...goesOn, i < siblings.length - 1];
      rows.push({ run, depth: own.length, goesOn: own });
      add(run.id, own);
    }
  };
  add(null, []);
  return rows;
}

/** The run whose model this one went on from. */
export function parentOf({ id, origins }: RunEntry): string | null {
  return (
    origins.find(({ role, run }) => (role === "model" || role === "student") && run !== null && run !== id)?.run ?? null
  );
}

/** Whether settings that were edited make a run its own ancestor. */
function isAncestor(id: string, start: string, byId: ReadonlyMap<string, RunEntry>): boolean {
  const seen = new Set<string>();
  for (let at: string | null = start; at !== null && !seen.has(at); ) {
    if (at === id) return true;
    seen.add(at);
    const run = byId.get(at);
    at = run === undefined ? null : parentOf(run);
  }
  return false;
}

function byStart(a: RunEntry, b: RunEntry): number {
  const [left, right] = [a.startedAt ?? "", b.startedAt ?? ""];
  return left === right ? (a.id < b.id ? -1 : 1) : left < right ? -1 : 1;
}
