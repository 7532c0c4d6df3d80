import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { DataError } from "../../core/errors.ts";

/**
 * The folder of an npm package that holds data: one installed where the command runs, or beside this one.
 *
 * @throws {DataError} saying how to install it.
 */
export function packageFolder(name: string): string {
  for (const from of [join(process.cwd(), "here.js"), import.meta.url]) {
    const folder = (createRequire(from).resolve.paths(name) ?? [])
      .map((place) => join(place, name))
      .find((place) => existsSync(join(place, "package.json")));
    if (folder !== undefined) return folder;
  }
  throw new DataError(`data: the package ${name} is not installed; run: npm install ${name}`);
}

/**
 * The text of a file that a Debian package installs.
 *
 * @throws {DataError} saying how to install it.
 */
export function debianFile(path: string, packageName: string): string {
  if (!existsSync(path)) {
    throw new DataError(`data: ${path} is missing (${dirname(path)}); on Debian, run: apt-get install ${packageName}`);
  }
  return readFileSync(path, "utf8");
}
