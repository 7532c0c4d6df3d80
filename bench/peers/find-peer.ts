import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const project = join(import.meta.dirname, "../..");

/** Where peers are looked for after the project's own packages; git ignores it. */
const peerFolder = ".stemma/peers";

/**
 * Loads a package that Stemma does not depend on, from the project's `node_modules` or from `.stemma/peers`.
 * `Module` describes the part of its exports that the caller uses.
 *
 * @throws {Error} saying how to install it, when it is in neither.
 */
export async function loadPeer<Module>(name: string, version: string): Promise<Module> {
  for (const folder of [project, join(project, peerFolder)]) {
    const path = resolveFrom(folder, name);
    if (path !== null) return (await import(pathToFileURL(path).href)) as Module;
  }
  throw new Error(`${name} is not installed; add it with \`npm install --prefix ${peerFolder} ${name}@${version}\``);
}

function resolveFrom(folder: string, name: string): string | null {
  try {
    return createRequire(join(folder, "package.json")).resolve(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND") return null;
    throw error;
  }
}
