import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { chatFunctions, readChatJinja } from "./chat-jinja.ts";
import { JinjaError } from "./jinja/values.ts";

interface Recorded {
  readonly given: readonly Readonly<Record<string, unknown>>[];
  readonly cases: readonly { readonly template: string; readonly given: number; readonly text?: string }[];
}

const path = new URL("../../test/parity/fixtures/jinja/chat.json", import.meta.url);
const { given, cases } = JSON.parse(readFileSync(path, "utf8")) as Recorded;
const shared = { bos_token: "<s>", eos_token: "</s>", tools: null, documents: null, add_generation_prompt: false };

test.each(cases)("as Jinja2: %j", (recorded) => {
  const variables = { ...chatFunctions, ...shared, ...given[recorded.given] };
  const run = (): string => readChatJinja(recorded.template).render(variables).text;
  if (recorded.text === undefined) expect(run).toThrow(JinjaError);
  else expect(run()).toBe(recorded.text);
});

test("a template of a megabyte is refused", () => {
  expect(() => readChatJinja(" ".repeat(2 ** 20 + 1))).toThrow("has 1048577 characters, a template may have 1048576");
});
