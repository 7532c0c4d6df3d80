/** One turn of a conversation, as chat templates see it. */
export interface ChatMessage {
  /** `system`, `user`, `assistant`, `tool`, or whatever else a template knows. */
  readonly role: string;
  readonly content: string;
  /** Anything else a template may read, such as `tool_calls`. */
  readonly [key: string]: unknown;
}

/** The role whose turns a model writes. */
export const assistantRole = "assistant";
