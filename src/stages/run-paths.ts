import { existsSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { escapePath, isDynamicPattern } from "tinyglobby";
import type { z } from "zod";
import { isHubReference } from "../hub/hub-reference.ts";
import { hubCache } from "../hub/hub-settings.ts";
import { asHubReference } from "../hub/hub-snapshot.ts";

declare module "zod" {
  interface GlobalMeta {
    /**
     * Whether the value is the path of a file or folder, unless it matches a pattern of words that stand for something
     * else. Data (`isData`) are paths anyway.
     */
    isPath?: boolean | { readonly unless: string };
  }
}

/**
 * Settings with every relative path made absolute, so that a record of them means the same from any folder. Words that
 * stand for something else stay as they are, and so do weights of data (`path=WEIGHT`) and globs. A model in the hub's
 * cache is recorded as what it is everywhere, `hub:ORG/NAME@commit`.
 */
export function absolutePaths(
  schema: z.ZodObject,
  settings: Readonly<Record<string, unknown>>,
  cwd = process.cwd(),
): Record<string, unknown> {
  const entries = Object.entries(settings).map(([key, value]) => {
    const { isPath = false, isData = false } = (schema.shape[key] as z.ZodType | undefined)?.meta() ?? {};
    if (!isPath && !isData) return [key, value];
    const words = typeof isPath === "object" ? new RegExp(isPath.unless) : null;
    const cache = resolve(cwd, hubCache());
    const absolute = (entry: unknown): unknown => {
      const path = absolutePath(entry, words, cwd);
      return isPath && typeof path === "string" && isAbsolute(path) ? asHubReference(path, cache) : path;
    };
    return [key, Array.isArray(value) ? value.map(absolute) : absolute(value)];
  });
  return Object.fromEntries(entries);
}

function absolutePath(entry: unknown, words: RegExp | null, cwd: string): unknown {
  if (typeof entry !== "string" || entry === "" || isAbsolute(entry) || isHubReference(entry) || words?.test(entry))
    return entry;
  const path = resolve(cwd, entry);
  // The folder is no part of the pattern, whatever characters are in its name.
  return isDynamicPattern(entry) && !existsSync(path) ? `${escapePath(cwd)}/${entry}` : path;
}
