import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "stemma-types-"));
afterAll(() => rmSync(folder, { recursive: true }));

mkdirSync(join(folder, "node_modules"));
symlinkSync(root, join(folder, "node_modules", "stemma"), "dir");
symlinkSync(join(root, "node_modules", "@types"), join(folder, "node_modules", "@types"), "dir");
writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
// Types that are found make an error of the wrong ones; types that are not would make none of any.
const program = `
import { generateText, openBackend } from "stemma";
import { readTokenizer } from "stemma/browser";
const opened: number = openBackend();
const read: number = readTokenizer;
export const options: Parameters<typeof generateText>[3] = { sampling: { temprature: 1 }, maxNewTokens: 1, seed: 1 };
export const right: Parameters<typeof generateText>[3] = { sampling: { temperature: 1 }, maxNewTokens: 1, seed: 1 };
export { opened, read };
`;
writeFileSync(join(folder, "program.ts"), program);

/** What the compiler says of programs. */
async function compile(module: string, moduleResolution: string, types: string, ...files: string[]): Promise<string> {
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const options = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--types", types, ...files];
  const args = [tsc, "--module", module, "--moduleResolution", moduleResolution, ...options];
  const run = promisify(execFile)(process.execPath, args, { cwd: folder });
  const { stdout } = await run.catch((error: unknown) => error as { readonly stdout: string });
  return stdout;
}

/** Lines of the program in which the compiler finds an error, and what it says. */
async function errors(module: string, moduleResolution: string): Promise<string[]> {
  const stdout = await compile(module, moduleResolution, "", "program.ts");
  return [...stdout.matchAll(/^.*\((\d+),\d+\): error (TS\d+)/gm)].map(([, line, code]) => `${line} ${code}`);
}

test.each([
  ["nodenext", "nodenext"],
  ["esnext", "bundler"],
])("a program of %s modules, resolved as %s, has the package's types", async (module, resolution) => {
  expect(await errors(module, resolution)).toEqual(["4 TS2322", "5 TS2322", "6 TS2561"]);
});

test("the programs of the guides have no error", async () => {
  const pages = readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"));
  const guides = ["README.md", ...pages.map((name) => join("docs", name))];
  const programs = guides.flatMap((name) => {
    const blocks = readFileSync(join(root, name), "utf8").matchAll(/^```ts\n([\s\S]*?)^```/gm);
    return Array.from(blocks, ([, block = ""], i) => ({ file: `${name.replaceAll(/\W/g, "-")}-${i}.ts`, block }));
  });
  // Texts to learn from are the reader's own.
  const given = "declare const texts: Iterable<string>;\n";
  for (const { file, block } of programs) writeFileSync(join(folder, file), given + block);
  expect(programs.length).toBeGreaterThan(3);
  expect(await compile("nodenext", "nodenext", "node", ...programs.map(({ file }) => file))).toBe("");
});

test("older resolutions, which know no exports, are told where the types are", () => {
  const { exports, types, typesVersions } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  expect(types).toBe(exports["."].types);
  expect(typesVersions["*"].browser).toEqual([exports["./browser"].types]);
  for (const file of [exports["."].types, exports["./browser"].types]) expect(existsSync(join(root, file))).toBe(true);
});
