/** Lets one process at a time build: for the programs beside it, which run before anything is installed. */
import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join, relative } from "node:path";

/**
 * Waits for the process that holds `path`, if it is alive, and takes its place. A claim is a folder with one file of a
 * name of its own: an abandoned one is taken away by that name, which cannot hit the claim of another that waited too.
 *
 * @param say - Told once, in a line, when there is somebody to wait for.
 * @returns a function that gives the place up.
 */
export async function lock(path, say) {
  const name = `${process.pid}-${randomUUID()}`;
  let told = false;
  for (;;) {
    const isHeld = holders(path).length > 0;
    if (!isHeld && hasClaimed(path, name)) return () => release(path, name);
    if (isHeld && !told) {
      say(`waiting for another process that is building (delete ${relative(process.cwd(), path)} if there is none)`);
      told = true;
    }
    await new Promise((resolve) => setTimeout(resolve, isHeld ? 100 : 1));
  }
}

function release(path, name) {
  rmSync(join(path, name), { force: true });
  removeIfEmpty(path);
}

/** Whatever stands there may be another's claim by now. */
function removeIfEmpty(path) {
  try {
    rmdirSync(path);
  } catch (error) {
    if (!["ENOTEMPTY", "EEXIST", "ENOENT"].includes(error.code)) throw error;
  }
}

/** The claims of living processes at `path`, abandoned ones being removed. */
function holders(path) {
  return namesIn(path).filter((name) => {
    const owner = ownerOf(join(path, name));
    if (owner !== undefined && (owner.host !== hostname() || isAlive(owner.pid))) return true;
    rmSync(join(path, name), { force: true });
    return false;
  });
}

function namesIn(path) {
  try {
    return readdirSync(path);
  } catch (error) {
    if (error.code === "ENOENT") return [];
    throw error;
  }
}

function hasClaimed(path, name) {
  const prepared = `${path}-${name}`;
  mkdirSync(prepared, { recursive: true });
  try {
    writeFileSync(join(prepared, name), JSON.stringify({ pid: process.pid, host: hostname() }));
    removeIfEmpty(path);
    renameSync(prepared, path);
    return true;
  } catch (error) {
    if (!(process.platform === "win32" ? ["EPERM", "EEXIST"] : ["ENOTEMPTY", "EEXIST"]).includes(error.code))
      throw error;
    return false;
  } finally {
    rmSync(prepared, { recursive: true, force: true });
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function ownerOf(claim) {
  try {
    return JSON.parse(readFileSync(claim, "utf8"));
  } catch {
    return undefined;
  }
}
