import { DataError } from "../core/errors.ts";
import { chatFunctions, readChatJinja } from "./chat-jinja.ts";
import type { ChatMessage } from "./chat-message.ts";
import { assistantRole } from "./chat-message.ts";
import type { Rendered, Template } from "./jinja/template.ts";

/** ChatML, the commonest shape of a conversation, with marks around what the assistant says. */
export const chatMl = `{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\\n' }}
{%- if message['role'] == 'assistant' %}
{%- generation %}
{{- message['content'] + '<|im_end|>' }}
{%- endgeneration %}
{%- else %}
{{- message['content'] + '<|im_end|>' }}
{%- endif %}
{{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- endif %}
`;

/** Special tokens of {@link chatMl}: a model learns it best when each is one token. The last ends a turn. */
export const chatMlTokens = ["<|im_start|>", "<|im_end|>"] as const;

/** What a template may refer to beside the messages. */
export interface TemplateVariables {
  readonly bos_token?: string;
  readonly eos_token?: string;
  readonly tools?: readonly unknown[];
  readonly [key: string]: unknown;
}

/** A stretch of text, in UTF-16 units: `start` ≤ i < `end`. */
export interface TextSpan {
  readonly start: number;
  readonly end: number;
}

/** A conversation as text, and which parts of it the assistant wrote. */
export interface RenderedChat {
  readonly text: string;
  /** In order, one for each turn of the assistant; its end mark is part of it. */
  readonly answers: readonly TextSpan[];
}

/**
 * Writes conversations as the text that a model was, or will be, trained on. The language is Jinja, as in the
 * `chat_template` of Hugging Face models.
 */
export class ChatTemplate {
  /** The template's own text, to be saved with a model. */
  readonly source: string;
  readonly #template: Template;

  /**
   * @param where - How messages name it: a path, or the name of a built-in template.
   * @throws {DataError} when it is not valid Jinja.
   */
  constructor(source: string, where = "chat template") {
    this.source = source;
    try {
      this.#template = readChatJinja(source);
    } catch (error) {
      throw new DataError(`${where}: is not a valid Jinja template (${reasonOf(error)}); correct it`, {
        cause: error,
      });
    }
  }

  /**
   * The text of a conversation; with `addGenerationPrompt` it ends where the assistant's next turn begins.
   *
   * @throws {DataError} when the template refuses the conversation or drops a turn, naming the turn.
   */
  render(messages: readonly ChatMessage[], variables: TemplateVariables = {}, addGenerationPrompt = false): string {
    return this.#render(messages, variables, addGenerationPrompt).text;
  }

  /**
   * The text of a whole conversation with the assistant's turns marked: by the template's `{% generation %}` tags where
   * it has them, else by comparing the text with and without each turn.
   *
   * @throws {DataError} as {@link render} does, or when a template without tags rewrites earlier turns as later ones
   * come.
   */
  renderMarked(messages: readonly ChatMessage[], variables: TemplateVariables = {}): RenderedChat {
    const { text, generations } = this.#render(messages, variables, false);
    const isTagged = generations.length === messages.filter(isAnswer).length;
    return { text, answers: isTagged ? generations : this.#roleSpans(messages, variables, text) };
  }

  /**
   * Makes sure that adding turns leaves the text before them as it was, so that a prompt is the beginning of the
   * conversation that continues it.
   *
   * @throws {DataError} naming the first turn that changes what came before.
   */
  checkPrefixes(messages: readonly ChatMessage[], variables: TemplateVariables = {}): void {
    this.#roleSpans(messages, variables, this.render(messages, variables));
  }

  #render(messages: readonly ChatMessage[], variables: TemplateVariables, addGenerationPrompt: boolean): Rendered {
    const rendered = run(this.#template, messages, variables, addGenerationPrompt);
    refuseDropped(messages, rendered.text);
    return rendered;
  }

  #roleSpans(messages: readonly ChatMessage[], variables: TemplateVariables, text: string): TextSpan[] {
    return [...messages.entries()].flatMap(([index, message]) => {
      if (!isAnswer(message)) return [];
      const before = run(this.#template, messages.slice(0, index), variables, true).text;
      const after = run(this.#template, messages.slice(0, index + 1), variables, false).text;
      if (!after.startsWith(before) || !text.startsWith(after)) {
        const turn = after.startsWith(before) ? "a later turn" : `turn ${index + 1}`;
        throw new DataError(
          `chat template: ${turn} changes the text of what came before it, so that turn ${index + 1} cannot be told ` +
            "from its prompt; put {% generation %} … {% endgeneration %} around the assistant's text, or use another template",
        );
      }
      return [{ start: before.length, end: after.trimEnd().length }];
    });
  }
}

function isAnswer({ role }: ChatMessage): boolean {
  return role === assistantRole;
}

function run(
  template: Template,
  messages: readonly ChatMessage[],
  variables: TemplateVariables,
  addGenerationPrompt: boolean,
): Rendered {
  try {
    return template.render({
      ...chatFunctions,
      ...{ bos_token: "", eos_token: "", tools: null, documents: null },
      ...variables,
      messages,
      add_generation_prompt: addGenerationPrompt,
    });
  } catch (error) {
    const roles = messages.map(({ role }) => role).join(", ");
    throw new DataError(
      `chat template: fails on a conversation of ${messages.length} turns (${roles}): ${reasonOf(error)}; ` +
        "change the conversation, or use another template",
      { cause: error },
    );
  }
}

function refuseDropped(messages: readonly ChatMessage[], text: string): void {
  let from = 0;
  for (const [index, { role, content }] of messages.entries()) {
    const trimmed = content.trim();
    // What a tool says may stand there as JSON text.
    const written = [trimmed, JSON.stringify(trimmed).slice(1, -1)];
    const [at = -1] = written.map((one) => text.indexOf(one, from)).filter((place) => place >= 0);
    if (at < 0) {
      throw new DataError(
        `chat template: drops or rewrites turn ${index + 1} (${role}): its text ${JSON.stringify(shorten(trimmed))} is not ` +
          "in what the template gives; remove the turn, or use another template",
      );
    }
    from = at + trimmed.length;
  }
}

function shorten(text: string): string {
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, " ");
}
