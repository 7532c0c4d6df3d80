import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const { packagesAreCurrent, stampOf } = await import(join(import.meta.dirname, "../scripts/bootstrap.mjs"));

const root = mkdtempSync(join(tmpdir(), "stemma-bootstrap-"));
afterAll(() => rmSync(root, { recursive: true }));
const wanted = { version: "1.0.0", integrity: "sha512-a" };
const listed = (packages: object): string => JSON.stringify({ packages });

test("a package whose folder was deleted is missed, whatever npm wrote down", () => {
  const folder = join(root, "node_modules/words");
  writeFileSync(join(root, "package-lock.json"), listed({ "": {}, "node_modules/words": wanted }));
  expect(packagesAreCurrent(root)).toBe(false);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(root, "node_modules/.package-lock.json"), listed({ "node_modules/words": wanted }));
  writeFileSync(join(folder, "package.json"), "{}");
  expect(packagesAreCurrent(root)).toBe(true);
  rmSync(folder, { recursive: true });
  expect(packagesAreCurrent(root)).toBe(false);
});

test("an optional package of another system may be absent, another version is not current", () => {
  const optional = { "node_modules/win32": { ...wanted, optional: true } };
  writeFileSync(join(root, "package-lock.json"), listed(optional));
  writeFileSync(join(root, "node_modules/.package-lock.json"), listed({}));
  expect(packagesAreCurrent(root)).toBe(true);
  writeFileSync(join(root, "node_modules/.package-lock.json"), listed({ "node_modules/win32": { version: "2.0.0" } }));
  expect(packagesAreCurrent(root)).toBe(false);
});

test("compiled sources that lost a file are no longer what was stamped", () => {
  const folder = join(root, "compiled");
  mkdirSync(join(folder, "cli"), { recursive: true });
  for (const file of ["index.js", "cli/main.js", ".stemma-sources"]) writeFileSync(join(folder, file), "");
  const stamp = stampOf(folder, "print");
  expect(stampOf(folder, "print")).toBe(stamp);
  expect(stampOf(folder, "other")).not.toBe(stamp);
  rmSync(join(folder, "cli/main.js"));
  expect(stampOf(folder, "print")).not.toBe(stamp);
});
