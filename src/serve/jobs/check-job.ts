import { join, resolve } from "node:path";
import { flagProblem } from "../../core/flag-problem.ts";
import type { Flag } from "../../core/flags.ts";
import { nameOf } from "../../core/flags.ts";
import { shortened } from "../../core/schema-demand.ts";
import { flagWords, shellLine } from "../../core/shell-line.ts";
import type { Place } from "./places.ts";
import type { JobStage } from "./stage-form.ts";
import { jobFlags, namedBy, takenBy } from "./stage-form.ts";

/** Settings as they are typed, by key of the schema; what is left out has its default. */
export type TypedSettings = Readonly<Record<string, string | readonly string[]>>;

/** A job that may be started. */
export interface CheckedJob {
  /** Words after `stemma`, paths absolute. */
  readonly args: readonly string[];
  /** The same as one would type it in the folder of the server. */
  readonly commandLine: string;
  /** Folder of the run inside the folder of runs. */
  readonly run: string;
}

/** What is wrong, by key of the schema. */
export interface RefusedJob {
  readonly problems: ReadonlyMap<string, string>;
}

/** What settings are checked against. */
export interface Surroundings {
  /** The folder of runs, as it was given to the server. */
  readonly root: string;
  readonly places: readonly Place[];
}

interface Typed {
  readonly flag: Flag;
  /** As typed, an entry of a list each. */
  readonly texts: readonly string[];
  readonly value: unknown;
  /** The same texts with what they name in its place. */
  readonly words: readonly string[];
}

/** Longest text of a setting, in characters. */
const longestText = 4096;

/** Name of a run: a folder of its own, whatever system looks at it. */
const runName = /^[A-Za-z0-9][\w.-]{0,63}$/;

/**
 * Checks typed settings as the command line would, with its words, and makes its arguments of them. Nothing of a request
 * becomes a path: models and files are looked up among those that the server found, a new run has a name.
 */
export function checkJob(stage: JobStage, given: TypedSettings, around: Surroundings): CheckedJob | RefusedJob {
  const flags = jobFlags(stage);
  const problems = new Map<string, string>();
  for (const key of Object.keys(given)) {
    if (!flags.some((flag) => flag.key === key)) {
      problems.set(key, `stemma ${stage.name} has no setting ${JSON.stringify(shortened(key))}`);
    }
  }
  const typed = flags.flatMap((flag): Typed[] => {
    const texts = [given[flag.key] ?? []].flat().filter((text) => text !== "");
    if (texts.length === 0) return [];
    try {
      return [readSetting(flag, texts, stage, around)];
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problems.set(flag.key, error.message);
      return [];
    }
  });
  const values = Object.fromEntries(typed.map(({ flag, value }) => [flag.key, value]));
  const result = stage.settings.safeParse(values);
  for (const issue of result.success ? [] : result.error.issues) {
    const key = String(issue.path[0] ?? "");
    if (problems.has(key)) continue;
    const label = (name: string): string => nameIn(flags, name);
    problems.set(key, flagProblem(issue, values, flags, label));
  }
  if (problems.size > 0) return { problems };
  const [run = ""] = typed.find(({ flag }) => flag.key === "output")?.texts ?? [];
  return { run, ...commandOf(stage, typed, around) };
}

class Problem extends Error {}

function nameIn(flags: readonly Flag[], key: string): string {
  const flag = flags.find((candidate) => candidate.key === key);
  return flag === undefined ? key : nameOf(flag);
}

function readSetting(flag: Flag, texts: readonly string[], stage: JobStage, around: Surroundings): Typed {
  refuseUnreadable(texts, flag);
  switch (takenBy(flag, stage)) {
    case "run": {
      const name = runNameOf(texts[0] ?? "", flag, around);
      return { flag, texts, value: name, words: [resolve(around.root, name)] };
    }
    case "model":
    case "adapter":
    case "file": {
      const words = texts.map((text) => placeOf(text, flag, stage, around));
      return { flag, texts, value: flag.isList ? words : words[0], words };
    }
    default: {
      const value = flag.isList ? texts.flatMap((text) => flag.parse(text)) : flag.parse(texts[0] ?? "");
      return { flag, texts, value, words: texts };
    }
  }
}

function refuseUnreadable(texts: readonly string[], flag: Flag): void {
  const name = nameOf(flag);
  if (texts.length > 1 && !flag.isList) throw new Problem(`${name} takes one value, got ${texts.length}`);
  for (const text of texts) {
    if (text.length > longestText) throw new Problem(`${name} must have at most ${longestText} characters`);
    if (/\p{Cc}/u.test(text)) throw new Problem(`${name} must not hold control characters`);
  }
}

function runNameOf(text: string, flag: Flag, { root }: Surroundings): string {
  if (runName.test(text)) return text;
  throw new Problem(
    `${nameOf(flag)} must be a name of letters, digits, dots, hyphens and underscores, got ${quoted(text)}; ` +
      `the run gets a folder of that name in ${root}`,
  );
}

/** What a text of a request names: a word that the setting knows, or the path of something that the server found. */
function placeOf(text: string, flag: Flag, stage: JobStage, { root, places }: Surroundings): string {
  const named = namedBy(text, flag, stage, { places, by: "name" });
  if (named !== null) return named;
  const takes = takenBy(flag, stage);
  throw new Problem(
    `${nameOf(flag)}: ${quoted(text)} is no ${takes === "file" ? "file" : `${takes} folder`} that this server knows; ` +
      `choose one of those in ${root}, or use the command line`,
  );
}

function quoted(text: string): string {
  return JSON.stringify(shortened(text));
}

function commandOf(
  stage: JobStage,
  typed: readonly Typed[],
  { root }: Surroundings,
): Pick<CheckedJob, "args" | "commandLine"> {
  const shown = ({ flag, texts }: Typed): readonly string[] =>
    flag.key === "output" ? texts.map((text) => join(root, text)) : texts;
  return {
    args: [stage.name, ...typed.flatMap(({ flag, words }) => words.map((word) => `--${flag.name}=${word}`))],
    commandLine: shellLine(
      "stemma",
      stage.name,
      ...typed.flatMap((setting) => shown(setting).flatMap((text) => flagWords(setting.flag.name, text))),
    ),
  };
}
