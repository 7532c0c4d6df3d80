import { expect, test } from "vitest";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import { ChatTemplate } from "../text/chat-template.ts";
import { ChatEncoder } from "../text/encode-chat.ts";
import { chatAsking, systemText } from "./task-chat.ts";

const tokenizer = trainByteLevelBpe(["a"], { vocabularySize: 257 });
const body =
  "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}[you] {% endif %}";
const turns = [
  { role: "system", content: "Be brief." },
  { role: "user", content: "Why?" },
];

function asking(template: string | null, notes: string[]): ReturnType<typeof chatAsking> {
  const encoder = new ChatEncoder(tokenizer, template === null ? null : new ChatTemplate(template));
  return chatAsking("a model", encoder, true, (line) => notes.push(line));
}

test("turns become the text of the template, to where the answer begins", () => {
  const notes: string[] = [];
  expect(asking(body, notes).render(turns)).toBe("[system] Be brief.\n[user] Why?\n[you] ");
  expect(notes).toEqual([]);
});

test("a template that refuses the system's turn is asked without it, which is said once", () => {
  const refusing = `{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}${body}`;
  const notes: string[] = [];
  const chat = asking(refusing, notes);
  for (const _ of [1, 2]) expect(chat.render(turns)).toBe("[user] Why?\n[you] ");
  expect(notes).toEqual(["the chat template takes no system turn: asked without one"]);
});

test("a model without a template is refused by name", () => {
  expect(() => asking(null, [])).toThrow("apply-chat-template: a model has no chat template");
});

test.each([
  ["", "Choose.\n", "Choose.\n"],
  ["Be brief.", "", "Be brief."],
  ["Be brief.", "Choose.", "Be brief.\n\nChoose."],
  ["Be brief.\n", "Choose.", "Be brief.\nChoose."],
  ["Be brief.", "\nChoose.", "Be brief.\nChoose."],
])("an instruction %j and a description %j", (instruction, description, text) => {
  expect(systemText(instruction, description, "\n\n")).toBe(text);
});
