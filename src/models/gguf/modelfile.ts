import { SettingsError } from "../../core/errors.ts";
import type { ChatEncoder } from "../../text/encode-chat.ts";
import { boundsOf } from "../../text/text-bounds.ts";
import type { TurnPieces } from "../../text/turn-pieces.ts";
import { turnPieces } from "../../text/turn-pieces.ts";

/** What an Ollama model is made from: GGUF files, and a system prompt. */
export interface ModelfileContents {
  readonly model: string;
  readonly adapter: string | null;
  readonly system: string | null;
}

/** A Modelfile, and why it does not say how conversations are written, or null. */
export interface Modelfile {
  readonly text: string;
  readonly noTemplate: string | null;
}

/**
 * The Modelfile by which `ollama create` takes a GGUF file: where it is, a Go template that writes conversations as the chat
 * template does, and every token that ends a turn. A template of another shape than turns one after the other is left out:
 * Ollama then goes by the one in the file.
 *
 * @throws {SettingsError} when the template has no place for a system prompt, or a Modelfile cannot hold this one.
 */
export function modelfile(encoder: ChatEncoder, { model, adapter, system }: ModelfileContents): Modelfile {
  const pieces = encoder.template && turnPieces((messages) => encoder.promptText(messages));
  if (system !== null) refuseSystem(system, pieces);
  const ends = [...encoder.endTokens()].map((id) => encoder.tokenizer.tokenOf(id) ?? "").filter((end) => end !== "");
  const template = pieces && goTemplate(withoutBeginning(encoder, pieces));
  const noTemplate = template === null ? whyNone(encoder) : null;
  const lines = [
    `FROM ${model}`,
    ...(adapter === null ? [] : [`ADAPTER ${adapter}`]),
    noTemplate === null ? `TEMPLATE """${template}"""` : `# No TEMPLATE: ${noTemplate}.`,
    ...ends.map((end) => `PARAMETER stop ${JSON.stringify(end)}`),
    ...(system === null ? [] : [`SYSTEM """${system}"""`]),
  ];
  return { text: `${lines.join("\n")}\n`, noTemplate };
}

function whyNone({ template }: ChatEncoder): string {
  return template
    ? "turns are not simply one after the other in the chat template; Ollama uses the one in the GGUF file"
    : "the model has no chat template; Ollama continues texts with it";
}

function refuseSystem(system: string, pieces: TurnPieces | null): void {
  if (system.includes('"""') || system.endsWith('"')) {
    throw new SettingsError('system: a Modelfile cannot hold a text with """ in it or " at its end; say it without');
  }
  if (pieces && !pieces.system) {
    throw new SettingsError("system: the chat template has no system turn; put it into what the user says");
  }
}

/** llama.cpp puts the token that begins a text before a prompt by itself, where the tokenizer does: it would stand there twice. */
function withoutBeginning({ tokenizer }: ChatEncoder, pieces: TurnPieces): TurnPieces {
  const begin = boundsOf(tokenizer)
    .before.map((id) => tokenizer.tokenOf(id) ?? "")
    .join("");
  const stripped = (text: string): string => (text.startsWith(begin) ? text.slice(begin.length) : text);
  const { opening, system } = pieces;
  return {
    ...pieces,
    opening: stripped(opening),
    system: system && { ...system, before: stripped(system.before) },
  };
}

/** The pieces as Ollama's Go template over `.Messages`. Texts are string literals, so that no white space is lost or added. */
function goTemplate({ opening, system, toAssistant, beforeAnswer, toUser }: TurnPieces): string {
  const literal = (text: string): string => (text === "" ? "" : `{{ ${JSON.stringify(text)} }}`);
  const said = "{{ .Content }}";
  const turns = [
    ...(system ? [`if eq .Role "system" }}${literal(system.before)}${said}${literal(system.behind)}`] : []),
    `if eq .Role "user" }}{{ if eq $before "" }}${literal(opening)}{{ else if eq $before "assistant" }}${literal(toUser)}{{ end }}${said}${literal(toAssistant)}`,
    `if eq .Role "assistant" }}${literal(beforeAnswer)}${said}`,
  ];
  return [
    '{{- $before := "" }}',
    "{{- range .Messages }}",
    ...turns.map((turn, i) => `{{- ${i === 0 ? "" : "else "}${turn}`),
    "{{- end }}",
    "{{- $before = .Role }}",
    "{{- end }}",
  ].join("\n");
}
