import { DataError } from "../core/errors.ts";
import type { ChatMessage } from "./chat-message.ts";
import { assistantRole } from "./chat-message.ts";

/** What a chat template writes around what is said, for conversations in which user and assistant take turns. */
export interface TurnPieces {
  /** Before the user's first words, where nobody gave a system prompt; holds the template's own one, if it has one. */
  readonly opening: string;
  /** Around a system prompt, up to where the user's first words begin; null where the template takes none. */
  readonly system: { readonly before: string; readonly behind: string } | null;
  /** Behind what the user says: what a prompt ends with. */
  readonly toAssistant: string;
  /** What stands before an answer in the text beside {@link toAssistant}: Llama 2's space, which the model writes itself. */
  readonly beforeAnswer: string;
  /** Between what the assistant and the user say. */
  readonly toUser: string;
}

/** Renders a conversation up to where the assistant's next turn begins. */
type Render = (messages: readonly ChatMessage[]) => string;

/** Words that no template contains. */
const words = (speaker: string, turn: number): string => `Qz${speaker}${turn}qZ`;

/**
 * Finds out what a template writes around turns by rendering conversations, whatever its code looks like. Null where that is
 * not the same everywhere: where the last answer is written otherwise than earlier ones, or a turn's text depends on what is said.
 */
export function turnPieces(render: Render): TurnPieces | null {
  const [opening, between, toUser, , , toAssistant] = cut(render, talk(3)) ?? [];
  if (opening === undefined || toUser === undefined || toAssistant === undefined) return null;
  if (!between?.startsWith(toAssistant)) return null;
  const beforeAnswer = between.slice(toAssistant.length);
  const pieces = { opening, toAssistant, beforeAnswer, toUser, system: systemPieces(render) };
  return [1, 2, 4].every((turns) => isAsPieced(render, pieces, turns)) ? pieces : null;
}

/** The text of a conversation by pieces; what {@link turnPieces} finds gives what the template gives. */
export function pieceTogether(pieces: TurnPieces, messages: readonly ChatMessage[]): string {
  let text = "";
  let previous = "";
  for (const { role, content } of messages) {
    if (role === "system") text += (pieces.system?.before ?? "") + content + (pieces.system?.behind ?? "");
    else if (role === assistantRole) text += pieces.beforeAnswer + content;
    else text += (previous === "" ? pieces.opening : "") + (previous === assistantRole ? pieces.toUser : "") + content;
    if (role === "user") text += pieces.toAssistant;
    previous = role;
  }
  return text;
}

function systemPieces(render: Render): TurnPieces["system"] {
  const [before, behind] = cut(render, [system, ...talk(1)]) ?? [];
  return before === undefined || behind === undefined ? null : { before, behind };
}

const system: ChatMessage = { role: "system", content: words("system", 0) };

/** So many turns of the user, with the assistant's between them. */
function talk(turns: number): ChatMessage[] {
  return Array.from({ length: 2 * turns - 1 }, (_, i) => {
    const role = i % 2 === 0 ? "user" : assistantRole;
    return { role, content: words(role, i) };
  });
}

function isAsPieced(render: Render, pieces: TurnPieces, turns: number): boolean {
  const both = [talk(turns), ...(pieces.system ? [[system, ...talk(turns)]] : [])];
  return both.every((messages) => rendered(render, messages) === pieceTogether(pieces, messages));
}

/** What stands before, between and behind the contents of messages; null where one is missing or the template refuses. */
function cut(render: Render, messages: readonly ChatMessage[]): string[] | null {
  let rest = rendered(render, messages);
  const found: string[] = [];
  for (const { content } of messages) {
    const at = rest?.indexOf(content) ?? -1;
    if (rest === null || at < 0) return null;
    found.push(rest.slice(0, at));
    rest = rest.slice(at + content.length);
  }
  return rest === null ? null : [...found, rest];
}

function rendered(render: Render, messages: readonly ChatMessage[]): string | null {
  try {
    return render(messages);
  } catch (error) {
    if (error instanceof DataError) return null;
    throw error;
  }
}
