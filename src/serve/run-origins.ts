import type { RunEntry } from "./api/run-answers.ts";

/** Settings that name models, those of the run's own line first. */
const roles = ["model", "student", "reference", "teacher", "reward", "critic"];

/** The runs that a server shows. */
interface KnownRuns {
  has(id: string): boolean;
  /** The id that a folder would have, whether it is there or not. */
  idOf(path: string): string;
}

/**
 * The models that settings name, and the runs that made them. Folders that were moved together are still recognised: by the
 * longest id that the path ends with.
 */
export function runOrigins(settings: Readonly<Record<string, unknown>>, known: KnownRuns): RunEntry["origins"] {
  return roles.flatMap((role) => {
    const path = settings[role];
    if (typeof path !== "string" || path === "") return [];
    return [{ role, run: runThatMade(path, known), path }];
  });
}

function runThatMade(path: string, known: KnownRuns): string | null {
  const folder = path.replace(/[\\/]+(final|checkpoint-\d+)?[\\/]*$/, "");
  const names = folder.split(/[\\/]/);
  const ends = names.map((_, first) => names.slice(first).join("/"));
  return [known.idOf(folder), ...ends].find((id) => known.has(id)) ?? null;
}
