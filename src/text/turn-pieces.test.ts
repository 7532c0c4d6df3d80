import { expect, test } from "vitest";
import { ChatTemplate, chatMl } from "./chat-template.ts";
import type { TurnPieces } from "./turn-pieces.ts";
import { pieceTogether, turnPieces } from "./turn-pieces.ts";

const marks = { bos_token: "<s>", eos_token: "</s>" };
const loop = "{% for m in messages %}";
const prompt = (text: string): string => `{% if add_generation_prompt %}{{ '${text}' }}{% endif %}`;

/** In the shape of the families', not in their words. */
const templates: Record<string, string> = {
  chatml: chatMl,
  smollm: `${loop}{% if loop.first and m.role != 'system' %}{{ '<|im_start|>system\\nI am small.<|im_end|>\\n' }}{% endif %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}${prompt("<|im_start|>assistant\\n")}`,
  llama2: `{% if messages[0].role == 'system' %}{% set sys = '<<SYS>>\\n' + messages[0].content + '\\n<</SYS>>\\n\\n' %}{% set messages = messages[1:] %}{% else %}{% set sys = '' %}{% endif %}${loop}{% if m.role == 'user' %}{{ bos_token + '[INST] ' + (sys if loop.first else '') + m.content + ' [/INST]' }}{% else %}{{ ' ' + m.content + ' ' + eos_token }}{% endif %}{% endfor %}`,
  llama3: `{{ bos_token }}${loop}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}{% endfor %}${prompt("<|start_header_id|>assistant<|end_header_id|>\\n\\n")}`,
  gemma: `{{ bos_token }}{% if messages[0].role == 'system' %}{% set first = messages[0].content + '\\n\\n' %}{% set messages = messages[1:] %}{% else %}{% set first = '' %}{% endif %}${loop}{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n' + (first if loop.first else '') + m.content | trim + '<end_of_turn>\\n' }}{% endfor %}${prompt("<start_of_turn>model\\n")}`,
  phi3: `${loop}{{ '<|' + m.role + '|>\\n' + m.content + '<|end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}`,
  mistral: `{{ bos_token }}${loop}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% elif m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}{% else %}{{ m.content + eos_token }}{% endif %}{% endfor %}`,
};

const piecesOf = (template: string): TurnPieces | null => {
  const chat = new ChatTemplate(template);
  return turnPieces((messages) => chat.render(messages, marks, true));
};

const conversation = [
  { role: "user", content: "How are you?" },
  { role: "assistant", content: "Well." },
  { role: "user", content: "Good!" },
];

test.each(Object.entries(templates))("%s is pieced together as it is rendered", (name, template) => {
  const pieces = piecesOf(template);
  if (pieces === null) throw new Error("no pieces");
  const chat = new ChatTemplate(template);
  expect(pieceTogether(pieces, conversation)).toBe(chat.render(conversation, marks, true));
  expect(pieces.system === null).toBe(name === "mistral");
  if (!pieces.system) return;
  const led = [{ role: "system", content: "Be brief." }, ...conversation];
  expect(pieceTogether(pieces, led)).toBe(chat.render(led, marks, true));
});

test("what stands before an answer but not behind a prompt is the answer's", () => {
  expect(piecesOf(templates.llama2 ?? "")).toEqual({
    opening: "<s>[INST] ",
    toAssistant: " [/INST]",
    beforeAnswer: " ",
    toUser: " </s><s>[INST] ",
    system: { before: "<s>[INST] <<SYS>>\n", behind: "\n<</SYS>>\n\n" },
  });
});

test.each([
  [
    "earlier answers lose a part",
    `${loop}{{ m.role + ':' + (m.content if loop.last else m.content[:5]) }}{% endfor %}`,
  ],
  ["turns are numbered", `${loop}{{ loop.index ~ m.role + m.content }}{% endfor %}${prompt("a")}`],
  [
    "prompts end otherwise than answers begin",
    `${loop}{{ '<' + m.role + '>' + m.content }}{% endfor %}${prompt("<think>")}`,
  ],
])("no pieces where %s", (_, template) => {
  expect(piecesOf(template)).toBeNull();
});
