import { SettingsError } from "../core/errors.ts";

/** A model repository at a revision, or one file of it. */
export interface HubReference {
  /** `ORG/NAME`; the oldest repositories have a name only. */
  readonly name: string;
  /** Branch, tag or commit hash. */
  readonly revision: string;
  /** The one file that is meant, or null for the model. */
  readonly file: string | null;
}

/** What a path begins with that stands for a model of the hub. */
export const hubPrefix = "hub:";

/** Whether a path stands for a model of the hub: `hub:ORG/NAME`. */
export function isHubReference(path: string): boolean {
  return path.startsWith(hubPrefix);
}

/**
 * Reads `ORG/NAME[@revision][:file]`, with or without `hub:` before it. Without a revision it is `main`.
 *
 * @throws {SettingsError} when it is something else.
 */
export function parseHubReference(text: string): HubReference {
  const written = isHubReference(text) ? text.slice(hubPrefix.length) : text;
  const [, name = "", revision = "main", file = null] = /^([^@:]+)(?:@([^:]+))?(?::(.+))?$/s.exec(written) ?? [];
  const wrong = (what: string): SettingsError =>
    new SettingsError(`${JSON.stringify(text)}: ${what}; write ORG/NAME, ORG/NAME@revision or ORG/NAME:file`);
  if (!isRepositoryName(name)) throw wrong("is no name of a model repository");
  if (!isRevision(revision)) throw wrong(`${JSON.stringify(revision)} is no revision`);
  if (file !== null && !isSafePath(file)) throw wrong(`${JSON.stringify(file)} is no path of a file in a repository`);
  return { name, revision, file };
}

/** A reference as it is typed: `ORG/NAME@revision:file`. */
export function formatHubReference({ name, revision, file }: HubReference): string {
  return `${name}${revision === "main" ? "" : `@${revision}`}${file === null ? "" : `:${file}`}`;
}

/** Whether a revision is a commit's hash, and so never means anything else. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** Whether a path in a repository stays inside a folder that it is appended to, on every system. */
export function isSafePath(path: string): boolean {
  const isPart = (part: string): boolean => part !== "" && part !== "." && part !== ".." && !/[. ]$/.test(part);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  return !/[\\:\u0000-\u001f\u007f]/.test(path) && path.split("/").every(isPart);
}

/** The hub allows neither `--`, which stands between the parts of a name in the cache, nor `..`. */
function isRepositoryName(name: string): boolean {
  return /^[\w][\w.-]{0,95}(\/[\w][\w.-]{0,95})?$/.test(name) && !/--|\.\.|[.-](\/|$)/.test(name);
}

function isRevision(revision: string): boolean {
  return /^\w[\w./+-]*$/.test(revision) && isSafePath(revision);
}
