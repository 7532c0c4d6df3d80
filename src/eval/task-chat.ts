import { DataError, UnsupportedError } from "../core/errors.ts";
import type { ChatMessage } from "../text/chat-message.ts";
import { assistantRole } from "../text/chat-message.ts";
import type { ChatEncoder } from "../text/encode-chat.ts";

/** How questions are put to a model that chats. */
export interface ChatAsking {
  /** Whether examples are turns of their own, instead of a part of the question's turn. */
  readonly isMultiturn: boolean;
  /** The template's own text. */
  readonly template: string;
  /** The text of turns up to where the answer begins. */
  render(messages: readonly ChatMessage[]): string;
}

/** An example before a question. */
export interface SolvedExample {
  readonly question: string;
  /** Empty where the row has none. */
  readonly answer: string;
  /** What stands between the two, where they are one text. */
  readonly delimiter: string;
  /** What stands behind the answer, where examples are one text. */
  readonly end: string;
}

/**
 * Questions as turns of a model's own chat template, as the harness writes them with `--apply_chat_template`: a template
 * that refuses a system turn is asked again without one.
 *
 * @param model - As messages name it.
 * @param note - Told once that the template knows no system turn.
 * @throws {UnsupportedError} when the model has no template.
 */
export function chatAsking(
  model: string,
  encoder: ChatEncoder,
  isMultiturn: boolean,
  note: (line: string) => void,
): ChatAsking {
  const { template } = encoder;
  if (!template) {
    throw new UnsupportedError(
      `apply-chat-template: ${model} has no chat template; leave the flag out, or name a model that was taught to chat`,
    );
  }
  let isTold = false;
  const withoutSystem = (messages: readonly ChatMessage[]): string => {
    if (!isTold) note("the chat template takes no system turn: asked without one");
    isTold = true;
    return encoder.promptText(messages.filter(({ role }) => role !== "system"));
  };
  return {
    ...{ isMultiturn, template: template.source },
    render: (messages) => {
      try {
        return encoder.promptText(messages);
      } catch (error) {
        if (!(error instanceof DataError) || messages[0]?.role !== "system") throw error;
        return withoutSystem(messages);
      }
    },
  };
}

/** A question behind its examples as one text. */
export function plainContext(system: string, examples: readonly SolvedExample[], question: string): string {
  return system + examples.map(exampleText).join("") + question;
}

/** A question behind its examples as turns. */
export function chatTurns(
  system: string,
  examples: readonly SolvedExample[],
  question: string,
  isMultiturn: boolean,
): ChatMessage[] {
  const turns = isMultiturn ? examples.flatMap(exampleTurns) : [];
  const content = isMultiturn ? question : plainContext("", examples, question);
  return [...(system === "" ? [] : [{ role: "system", content: system }]), ...turns, { role: "user", content }];
}

/**
 * What stands before the examples: a system instruction and the task's description, with `delimiter` between them where
 * neither has white space there.
 */
export function systemText(instruction: string, description: string, delimiter: string): string {
  if (instruction === "" || description === "") return instruction + description;
  const isApart = /\s$/u.test(instruction) || /^\s/u.test(description);
  return instruction + (isApart ? "" : delimiter) + description;
}

function exampleText({ question, answer, delimiter, end }: SolvedExample): string {
  return answer === "" ? question : question + delimiter + answer + end;
}

function exampleTurns({ question, answer }: SolvedExample): ChatMessage[] {
  const asked = { role: "user", content: question };
  return answer === "" ? [asked] : [asked, { role: assistantRole, content: answer }];
}
