/** One turn of a conversation, as chat templates see it. */
export interface ChatMessage {
  /** One of {@link knownRoles} in data; a conversation made by a program may use whatever its template knows. */
  readonly role: string;
  readonly content: string;
  /** Anything else a template may read, such as `tool_calls`. */
  readonly [key: string]: unknown;
}

/** The role whose turns a model writes. */
export const assistantRole = "assistant";

/** Whether the assistant says a turn and it is to be learnt: one with `weight` 0 or `train` false is context only. */
export function isLearnt({ role, weight, train }: ChatMessage): boolean {
  return role === assistantRole && weight !== 0 && train !== false;
}

/** Roles that turns in data may have. */
export const knownRoles: readonly string[] = ["system", "developer", "user", assistantRole, "tool"];
