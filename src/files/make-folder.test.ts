import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { FileError } from "../core/errors.ts";
import { makeFolder } from "./make-folder.ts";

const root = mkdtempSync(join(tmpdir(), "stemma-folder-"));
afterAll(() => rmSync(root, { recursive: true }));

test("folders that are missing are made, those that are there stay", async () => {
  const path = join(root, "a", "b", "c");
  await makeFolder(path);
  writeFileSync(join(path, "file"), "kept");
  await Promise.all([makeFolder(path), makeFolder(join(path, "d")), makeFolder(join(path, "d"))]);
  expect(statSync(join(path, "file")).size).toBe(4);
  expect(existsSync(join(path, "d"))).toBe(true);
});

test("a file in the way is named", async () => {
  writeFileSync(join(root, "file"), "");
  await expect(makeFolder(join(root, "file"))).rejects.toThrow(FileError);
  await expect(makeFolder(join(root, "file", "below"))).rejects.toThrow(/a part of the path is a file/);
});

test.runIf(existsSync("/proc/self"))("a place where nothing can be made is an error, not a wait", async () => {
  await expect(makeFolder("/proc/nothing/here")).rejects.toThrow(/cannot write/);
});
