import type { ToolStyle } from "../generate/tool-calls/tool-style.ts";
import type { ChatMessage } from "../text/chat-message.ts";
import type { RenderedChat, TemplateVariables } from "../text/chat-template.ts";
import type { SpecialTexts } from "../text/chat-writer.ts";

/** What a template's thread is started with. */
export interface TemplateStart {
  readonly source: string;
  readonly texts: SpecialTexts;
}

/** What a template shows of a model. */
export interface TemplateMarks {
  /** The special token that ends an answer; null where there is none. */
  readonly mark: string | null;
  /** How it calls tools; null where it does not, and then `refusal` says why. */
  readonly tools: ToolStyle | null;
  readonly refusal: string | null;
}

/** What can be asked of a template, and what comes of it. */
export interface TemplateAnswers {
  readonly marks: TemplateMarks;
  /** A conversation up to where the assistant's next turn begins, with what it said before. */
  readonly prompt: RenderedChat;
  /** Its text, as the template writes it. */
  readonly text: string;
}

/** A question to a template. */
export interface ToTemplate {
  readonly kind: keyof TemplateAnswers;
  readonly messages: readonly ChatMessage[];
  readonly variables: TemplateVariables;
}

/** What a template's thread says; nothing but `ready` without a question. */
export type FromTemplate =
  | { readonly type: "ready" }
  | { readonly type: "answer"; readonly answer: TemplateAnswers[keyof TemplateAnswers] }
  /** It is the template that refuses, or something else that failed. */
  | { readonly type: "failed"; readonly message: string; readonly isRefusal: boolean };
