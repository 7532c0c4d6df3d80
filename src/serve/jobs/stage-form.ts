import type { z } from "zod";
import type { Flag } from "../../core/flags.ts";
import { flagsOf } from "../../core/flags.ts";
import type { FormField } from "../api/job-answers.ts";
import { PlaceKind } from "../api/job-answers.ts";
import type { Place } from "./places.ts";

/** What a server needs of a stage: it is the command of this name, with these settings. */
export interface JobStage {
  readonly name: string;
  readonly summary: string;
  readonly settings: z.ZodObject;
}

/** Settings of the middle of the road: they are asked first, with what a stage has of its own. */
const common = new Set(["steps", "epochs", "batchSize", "learningRate", "maxNewTokens"]);

/** Settings that are for others to say: jobs are resumed by their button. */
const leftOut = new Set(["resume"]);

/** The form that starts a stage: made from the schema that checks it, with the words of the command line. */
export function stageForm(stage: JobStage): FormField[] {
  return jobFlags(stage).map((flag) => ({
    ...{ key: flag.key, flag: flag.name, group: flag.group, description: flag.description },
    ...{ isRequired: flag.isRequired, isList: flag.isList, takes: takenBy(flag, stage), choices: [...flag.choices] },
    takesWords: wordsFor(flag, stage) !== null,
    default: defaultText(flag.defaultValue),
    isCommon: flag.isRequired || flag.group === "Flags" || common.has(flag.key),
  }));
}

/** The flags that a request may set. */
export function jobFlags({ settings }: JobStage): readonly Flag[] {
  return flagsOf(settings).filter(({ key }) => !leftOut.has(key));
}

/** What a flag takes: of paths, what they are the path of. */
export function takenBy(flag: Flag, { settings }: JobStage): FormField["takes"] {
  const { isPath = false, isData = false } = (settings.shape[flag.key] as z.ZodType | undefined)?.meta() ?? {};
  if (flag.key === "output") return "run";
  if (flag.key === "adapter") return "adapter";
  if (isData) return "file";
  if (isPath !== false) return /\bfile\b/.test(flag.placeholder) ? "file" : "model";
  if (flag.isSwitch) return "switch";
  if (flag.choices.length > 0 && !flag.isList) return "choice";
  return /^<(n|number)>$/.test(flag.placeholder) ? "number" : "text";
}

/** Words that may stand where the path of a flag may; null where none may. */
function wordsFor({ key }: Flag, { settings }: JobStage): RegExp | null {
  const { isPath } = (settings.shape[key] as z.ZodType | undefined)?.meta() ?? {};
  return typeof isPath === "object" ? new RegExp(isPath.unless) : null;
}

/** Whether what a flag takes is looked up among what the server found. */
export function namesPlace(flag: Flag, stage: JobStage): boolean {
  return PlaceKind.options.some((kind) => kind === takenBy(flag, stage));
}

/**
 * What a flag may name: a word that it knows, as it is, or what the server found of the kind that it takes; null for all else.
 *
 * @param by - How places are named: as they are typed, or by their whole paths.
 */
export function namedBy(
  text: string,
  flag: Flag,
  stage: JobStage,
  { places, by }: { readonly places: readonly Place[]; readonly by: "name" | "path" },
): string | null {
  if (wordsFor(flag, stage)?.test(text)) return text;
  const takes = takenBy(flag, stage);
  return places.find((place) => place[by] === text && place.kind === takes)?.path ?? null;
}

function defaultText(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (Array.isArray(value)) return value.length === 0 ? null : value.join(",");
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
