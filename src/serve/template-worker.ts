import { parentPort, workerData } from "node:worker_threads";
import { DataError, UnsupportedError } from "../core/errors.ts";
import { toolStyle } from "../generate/tool-calls/tool-style.ts";
import type { ChatMessage } from "../text/chat-message.ts";
import type { TemplateVariables } from "../text/chat-template.ts";
import { ChatTemplate } from "../text/chat-template.ts";
import { ChatWriter } from "../text/chat-writer.ts";
import type { FromTemplate, TemplateAnswers, TemplateMarks, TemplateStart, ToTemplate } from "./template-messages.ts";

/**
 * The program of a thread that writes conversations with the chat template of one model. What templates do is for whoever
 * wrote them to say: the thread is ended when it takes too long, and holds nothing that another one would miss.
 */
const { source, texts } = workerData as TemplateStart;
const writer = new ChatWriter(new ChatTemplate(source), texts);

const answers: {
  readonly [Kind in keyof TemplateAnswers]: (
    messages: readonly ChatMessage[],
    variables: TemplateVariables,
  ) => TemplateAnswers[Kind];
} = {
  marks,
  prompt: (messages, variables) => writer.prompt(messages, variables),
  text: (messages, variables) => writer.promptText(messages, variables),
};

function marks(): TemplateMarks {
  try {
    return { mark: writer.mark, tools: toolStyle(writer), refusal: null };
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error;
    return { mark: writer.mark, tools: null, refusal: error.message };
  }
}

function answer({ kind, messages, variables }: ToTemplate): FromTemplate {
  try {
    const said = answers[kind](messages, variables);
    const written = typeof said === "string" ? said : "text" in said ? said.text : "";
    const most = mostOf({ messages, variables });
    if (written.length > most) {
      throw new DataError(
        `chat template: makes more than ${most} characters of the conversation; use another template`,
      );
    }
    return { type: "answer", answer: said };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { type: "failed", message, isRefusal: error instanceof DataError };
  }
}

/** Characters that a prompt has at most: what is said a few times over, and far more than templates say themselves. */
function mostOf(given: unknown): number {
  return 8 * JSON.stringify(given).length + 2 ** 16;
}

parentPort?.on("message", (message: ToTemplate) => parentPort?.postMessage(answer(message)));
parentPort?.postMessage({ type: "ready" } satisfies FromTemplate);
