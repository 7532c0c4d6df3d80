import { expect, test } from "vitest";
import { endOfText, tokenizer } from "../../../test/small-model.ts";
import { SettingsError } from "../../core/errors.ts";
import { ChatTemplate, chatMl } from "../../text/chat-template.ts";
import { ChatEncoder } from "../../text/encode-chat.ts";
import { modelfile } from "./modelfile.ts";

const plain = { model: "./model.gguf", adapter: null, system: null };
const encoderOf = (template: string | null): ChatEncoder => {
  const speaking = tokenizer.withSpecialTokens(["<|im_end|>"], { bos: endOfText, eos: endOfText });
  return new ChatEncoder(speaking, template === null ? null : new ChatTemplate(template));
};

test("ChatML", () => {
  expect(modelfile(encoderOf(chatMl), { ...plain, adapter: "./adapter.gguf", system: "Be kind." })).toEqual({
    noTemplate: null,
    text: String.raw`FROM ./model.gguf
ADAPTER ./adapter.gguf
TEMPLATE """{{- $before := "" }}
{{- range .Messages }}
{{- if eq .Role "system" }}{{ "<|im_start|>system\n" }}{{ .Content }}{{ "<|im_end|>\n<|im_start|>user\n" }}
{{- else if eq .Role "user" }}{{ if eq $before "" }}{{ "<|im_start|>user\n" }}{{ else if eq $before "assistant" }}{{ "<|im_end|>\n<|im_start|>user\n" }}{{ end }}{{ .Content }}{{ "<|im_end|>\n<|im_start|>assistant\n" }}
{{- else if eq .Role "assistant" }}{{ .Content }}
{{- end }}
{{- $before = .Role }}
{{- end }}"""
PARAMETER stop "<|endoftext|>"
PARAMETER stop "<|im_end|>"
SYSTEM """Be kind."""
`,
  });
});

const numbered = "{% for m in messages %}{{ loop.index ~ m.role + m.content }}{% endfor %}";

test("another shape is left to the template in the file", () => {
  const { text, noTemplate } = modelfile(encoderOf(numbered), plain);
  expect(noTemplate).toContain("Ollama uses the one in the GGUF file");
  expect(modelfile(encoderOf(null), plain).noTemplate).toContain("has no chat template");
  expect(text).toContain("# No TEMPLATE: ");
  expect(text).toContain('PARAMETER stop "<|endoftext|>"');
});

test("a system prompt that would be lost is refused", () => {
  const silent = "{% for m in messages %}{% if m.role != 'system' %}{{ m.role + m.content }}{% endif %}{% endfor %}";
  const template = `${silent}{% if add_generation_prompt %}assistant{% endif %}`;
  expect(() => modelfile(encoderOf(template), { ...plain, system: "Be kind." })).toThrow(SettingsError);
  expect(() => modelfile(encoderOf(chatMl), { ...plain, system: 'Say """.' })).toThrow("cannot hold");
});
