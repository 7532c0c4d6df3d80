import { resolve, sep } from "node:path";

/** A model that a run began with or was judged by. */
export interface RunOrigin {
  readonly role: string;
  /** Id of the run that made it; null where it is none of those known. */
  readonly run: string | null;
  readonly path: string;
}

/** Settings that name models, those of the run's own line first. */
const roles = ["model", "student", "reference", "teacher", "reward", "critic"];

/**
 * The models that settings name, and the runs among `known` (id and folder) that made them. Folders that were moved together
 * are still recognised: by the longest id that the path ends with.
 */
export function runOrigins(
  settings: Readonly<Record<string, unknown>>,
  known: readonly { readonly id: string; readonly path: string }[],
): RunOrigin[] {
  return roles.flatMap((role) => {
    const path = settings[role];
    if (typeof path !== "string" || path === "") return [];
    return [{ role, run: runThatMade(path, known), path }];
  });
}

function runThatMade(path: string, known: readonly { readonly id: string; readonly path: string }[]): string | null {
  const folder = path.replace(/[\\/]+(final|checkpoint-\d+)?[\\/]*$/, "");
  const whole = resolve(folder);
  const exact = known.find((run) => resolve(run.path) === whole);
  if (exact !== undefined) return exact.id;
  const end = folder.replaceAll("\\", "/");
  const byName = known.filter(({ id }) => end === id || end.endsWith(`/${id}`));
  return byName.sort((a, b) => b.id.split(sep).length - a.id.split(sep).length)[0]?.id ?? null;
}
