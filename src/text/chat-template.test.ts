import { expect, test } from "vitest";
import type { ChatMessage } from "./chat-message.ts";
import { ChatTemplate, chatMl } from "./chat-template.ts";

const talk: readonly ChatMessage[] = [
  { role: "system", content: "Be brief." },
  { role: "user", content: "One?" },
  { role: "assistant", content: "Two." },
  { role: "user", content: "Three?" },
  { role: "assistant", content: "Four." },
];

const answersOf = (template: ChatTemplate, messages = talk): string[] => {
  const { text, answers } = template.renderMarked(messages, { eos_token: "</s>" });
  return answers.map(({ start, end }) => text.slice(start, end));
};

test("ChatML, as its users know it", () => {
  const template = new ChatTemplate(chatMl);
  expect(template.render(talk.slice(0, 3))).toBe(
    "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nOne?<|im_end|>\n<|im_start|>assistant\nTwo.<|im_end|>\n",
  );
  expect(template.render(talk.slice(0, 2), {}, true)).toMatch(/One\?<\|im_end\|>\n<\|im_start\|>assistant\n$/);
  expect(answersOf(template)).toEqual(["Two.<|im_end|>", "Four.<|im_end|>"]);
});

test("generation tags and role spans find the same answers", () => {
  const bare = new ChatTemplate(chatMl.replaceAll(/\{%- (end)?generation %\}\n/g, ""));
  expect(bare.source).not.toContain("generation %}");
  expect(answersOf(bare)).toEqual(answersOf(new ChatTemplate(chatMl)));
});

test("a template with tags of every spelling of white space", () => {
  const source =
    "{% for m in messages %}[{{ m.role }}] {% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token }}" +
    "{%- endgeneration -%}\n{% else %}{{ m.content }}\n{% endif %}{% endfor %}";
  expect(answersOf(new ChatTemplate(source))).toEqual(["Two.</s>", "Four.</s>"]);
});

test("a template without tags that rewrites earlier turns is refused, with tags it is not", () => {
  const turn =
    "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %};";
  const source = `{{ messages|length }}{% for m in messages %}${turn}{% endfor %}`;
  const tagged = new ChatTemplate(source);
  expect(answersOf(tagged)).toEqual(["Two.", "Four."]);
  expect(() => tagged.checkPrefixes(talk)).toThrow("turn 3 changes the text of what came before it");
  const bare = new ChatTemplate(source.replaceAll(/\{% (end)?generation %\}/g, ""));
  expect(() => bare.renderMarked(talk)).toThrow("turn 3 changes the text of what came before it");
});

test("a template that drops a turn is refused, naming the turn", () => {
  const source = "{% for m in messages %}{% if m.role != 'system' %}{{ m.content }}\n{% endif %}{% endfor %}";
  expect(() => new ChatTemplate(source).render(talk)).toThrow(
    'chat template: drops or rewrites turn 1 (system): its text "Be brief." is not in',
  );
});

test("what a template raises reaches the user", () => {
  const source = "{% if messages[0].role == 'system' %}{{ raise_exception('no system turn, please') }}{% endif %}";
  expect(() => new ChatTemplate(source).render(talk)).toThrow(
    /fails on a conversation of 5 turns.*no system turn, please/,
  );
});

test("broken Jinja is refused when it is read, with the place it came from", () => {
  expect(() => new ChatTemplate("{% for m in %}", "my.jinja")).toThrow("my.jinja: is not a valid Jinja template");
});

test("a template of strangers cannot take for ever, nor grow without end", () => {
  const fails = (source: string): Error => {
    try {
      new ChatTemplate(source).render(talk);
    } catch (error) {
      return error as Error;
    }
    throw new Error("did not fail");
  };
  expect(fails("{% for i in range(2000000) %}{% for j in range(9) %}x{% endfor %}{% endfor %}").message).toMatch(
    /^chat template: fails on a conversation of 5 turns .*takes more than 2000000 steps/,
  );
  expect(fails("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}").message).toContain("calls itself more than 50 times");
  expect(fails("{{ 'x' * 10 ** 12 }}").message).toContain("characters");
  expect(new ChatTemplate(`${" ".repeat(40_000)}{{- messages[0].content }}`).render(talk.slice(0, 1))).toBe(
    "Be brief.",
  );
});

test("a tool's result may be written as JSON text", () => {
  const turns = [...talk.slice(1, 2), { role: "tool", content: '{"at": "9:10"}' }];
  const source = "{% for m in messages %}{{ m.content | tojson }}{% endfor %}";
  expect(new ChatTemplate(source).render(turns)).toBe(String.raw`"One?""{\"at\": \"9:10\"}"`);
});
