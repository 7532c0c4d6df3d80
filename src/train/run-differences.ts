import type { RunReport } from "./run-reader.ts";

/** Settings that say where a run is rather than what it is. */
const placeKeys = new Set(["output", "resume"]);

/**
 * For each run, the settings in which runs of its stage differ among those given, in words: `width 64`. A setting that
 * only some of them have differs too; `–` stands where it is missing.
 */
export function runDifferences(runs: readonly RunReport[]): string[][] {
  return runs.map((run) => {
    const others = runs.filter(({ command }) => command === run.command);
    const keys = new Set(others.flatMap(({ settings }) => Object.keys(settings)));
    const differing = [...keys].filter(
      (key) => !placeKeys.has(key) && new Set(others.map(({ settings }) => JSON.stringify(settings[key]))).size > 1,
    );
    return differing.map((key) => `${key} ${valueText(run.settings[key])}`);
  });
}

/** Longest text of a value, in characters. */
const longest = 60;

/** A setting's value in a word or a few, on one line. */
export function valueText(value: unknown): string {
  if (value === undefined) return "–";
  if (value === null) return "none";
  if (Array.isArray(value)) return value.length === 0 ? "none" : shortened(value.map(valueText).join(","));
  return shortened(typeof value === "object" ? JSON.stringify(value) : String(value));
}

function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length <= longest ? line : `${line.slice(0, longest - 1)}…`;
}
