import { flagWords, shellLine } from "../../../src/core/shell-line.ts";
import type { FormField, StageList } from "../../../src/serve/api/job-answers.ts";

/** A stage with its form. */
export type Stage = StageList["stages"][number];

/** What stands in the fields, by key of the setting; of a list, its entries with commas between them. */
export type Values = Readonly<Record<string, string>>;

/** The entries of a field. A path with a comma is none that can be chosen. */
export function entriesOf(field: FormField, value: string): string[] {
  const entries = field.isList ? value.split(",").map((entry) => entry.trim()) : [value];
  return entries.filter((entry) => entry !== "");
}

/** Settings as the server takes them: what is left empty is left out. */
export function typedSettings({ fields }: Stage, values: Values): Record<string, string[]> {
  const typed = fields.map((field): [string, string[]] => [field.key, entriesOf(field, values[field.key] ?? "")]);
  return Object.fromEntries(typed.filter(([, entries]) => entries.length > 0));
}

/** The command line that does the same. */
export function commandLine(stage: Stage, values: Values, folder: string): string {
  const words = stage.fields.flatMap((field) => {
    const entries = entriesOf(field, values[field.key] ?? "");
    const shown = field.takes === "run" ? entries.map((name) => `${folder}/${name}`) : entries;
    return shown.flatMap((entry) => flagWords(field.flag, entry));
  });
  return shellLine("stemma", stage.name, ...words);
}

/** Fields under headings, in the order of the schema; those that most people want to see are first, without one. */
export function groupsOf({ fields }: Stage): {
  readonly common: FormField[];
  readonly groups: [string, FormField[]][];
} {
  const groups = new Map<string, FormField[]>();
  const common: FormField[] = [];
  for (const field of fields) {
    if (field.isCommon) common.push(field);
    else groups.set(field.group, [...(groups.get(field.group) ?? []), field]);
  }
  const rank = ({ key, isRequired }: FormField): number => (key === "output" ? 1 : isRequired ? 0 : 2);
  return { common: common.sort((a, b) => rank(a) - rank(b)), groups: [...groups] };
}

/** A name for a new run that is not there yet: the stage, and the minute. */
export function newRunName(stage: string, now = new Date()): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  return `${stage}-${day}-${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
}
