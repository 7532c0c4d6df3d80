import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import * as browser from "../src/browser.ts";
import { commands } from "../src/cli/index.ts";
import { readCommandLine } from "../src/cli/program.ts";
import { flagsOf } from "../src/core/flags.ts";
import * as library from "../src/index.ts";

const root = join(import.meta.dirname, "..");
const pages = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
];

/** Every command line of a page, in blocks and between backticks, but for those with placeholders. */
function commandLines(page: string): string[] {
  const text = readFileSync(join(root, page), "utf8");
  const blocks = [...text.matchAll(/^```\w*\n([\s\S]*?)^```/gm)].map(([, block = ""]) => block.replaceAll("\\\n", " "));
  const spans = [...text.replaceAll(/^```[\s\S]*?^```/gm, "").matchAll(/`([^`]+)`/g)].map(([, span = ""]) => span);
  const lines = [...blocks.flatMap((block) => block.split("\n")), ...spans.map((span) => span.replaceAll("\n", " "))];
  return lines
    .flatMap((line) => line.split(/\s[|&]+\s/))
    .map((line) => line.trim().replace(/^\$ /, "").replace(/^npx /, ""))
    .filter((line) => /^stemma [a-z]/.test(line) && !/[<…]| · /.test(line));
}

/** Words as a shell cuts them, up to a comment or a file that takes the output. */
function wordsOf(line: string): string[] {
  const words = [...line.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map(([word]) => word);
  const end = words.findIndex((word) => /^(#|\d?>)/.test(word));
  return words.slice(1, end === -1 ? undefined : end).map((word) => word.replaceAll(/"([^"]*)"|'([^']*)'/g, "$1$2"));
}

const documented = [
  ...pages.flatMap((page) => commandLines(page).map((line) => [page, line] as const)),
  ...commands.flatMap(({ name, examples = [] }) => examples.map((line) => [`${name} --help`, line] as const)),
];

test.each(documented)("%s: %s", (_, line) => {
  const output = { write: () => {}, hasColors: false, columns: 80 };
  const request = readCommandLine(wordsOf(line), commands, { summary: "", version: "" }, output);
  if (request === null) return; // asks for help
  const { command, given } = request;
  // What a line leaves out comes from a settings file, or from the run that it goes on with.
  const wrong = command.settings.safeParse(given).error?.issues.filter(({ path }) => String(path[0]) in given) ?? [];
  expect(wrong).toEqual([]);
});

test("there are lines to check", () => {
  expect(documented.length).toBeGreaterThan(50);
});

test.each(pages)("%s: files and folders that it names are there", (page) => {
  const text = readFileSync(join(root, page), "utf8");
  const links = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, to = ""]) => join(dirname(page), to));
  const named = [...text.matchAll(/`((?:src|test|bench|recipes|examples|native|scripts|docs|tasks)\/[\w./-]*)`/g)];
  const paths = [...links, ...named.map(([, path = ""]) => path)];
  expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

const flags = new Set(
  commands.flatMap(({ settings }) =>
    flagsOf(settings).flatMap(({ name, otherNames, isSwitch }) =>
      [name, ...otherNames].flatMap((spelling) => [`--${spelling}`, ...(isSwitch ? [`--no-${spelling}`] : [])]),
    ),
  ),
);
// Those of every command, and of scripts and recipes.
for (const name of ["--config", "--json", "--debug", "--help", "--only", "--install"]) flags.add(name);

test.each(pages.filter((page) => page !== "docs/benchmarks.md"))("%s: flags that it names are there", (page) => {
  const prose = readFileSync(join(root, page), "utf8").replaceAll(/^```[\s\S]*?^```/gm, "");
  const spans = [...prose.matchAll(/`([^`]+)`/g)].map(([, span = ""]) => span);
  const own = spans.filter((span) => !/^(npx (?!stemma)|npm |node |apt)/.test(span));
  const named = own.flatMap((span) => span.match(/(?<![\w-])--[a-z][\w-]*/g) ?? []);
  expect(named.filter((flag) => !flags.has(flag))).toEqual([]);
});

test.each(pages)("%s: what it imports is exported", (page) => {
  const imports = readFileSync(join(root, page), "utf8").matchAll(
    /^import \{([^}]*)\} from "(stemma(?:\/browser)?)";/gm,
  );
  const missing = [...imports].flatMap(([, names = "", from]) => {
    const entry = from === "stemma" ? library : browser;
    return names.split(",").filter((name) => name.trim() !== "" && !(name.trim() in entry));
  });
  expect(missing).toEqual([]);
});

test.each(pages)("%s: what it says is in a file is there", (page) => {
  const claims = readFileSync(join(root, page), "utf8").matchAll(
    /((?:`[\w.]+`(?:, | and )?)+) in `(src\/[\w./-]+\.ts)`/g,
  );
  const missing = [...claims].flatMap(([, names = "", file = ""]) => {
    const source = readFileSync(join(root, file), "utf8");
    const words = [...names.matchAll(/`(?:\w+\.)?(\w+)`/g)].map(([, name = ""]) => name);
    return words.filter((name) => !source.includes(name)).map((name) => `${name} in ${file}`);
  });
  expect(missing).toEqual([]);
});
