/** A token as a model wrote it, with what it could have written. */
export interface WrittenToken {
  readonly text: string;
  /** Its bytes, where they are a part of a character and no text of their own. */
  readonly bytes?: readonly number[];
  readonly logprob: number;
  /** The likeliest at this place, with their log-probabilities. */
  readonly top: readonly (readonly [text: string, logprob: number])[];
}

/** One turn of a conversation. Turns that answer the same one are its branches. */
export interface Turn {
  readonly id: string;
  /** The turn before; null for the first. */
  readonly parent: string | null;
  readonly role: "user" | "assistant";
  readonly content: string;
  /** Who wrote it, where a model did. */
  readonly model?: string;
  /** Token by token; missing where they were not asked for, or a person wrote it. */
  readonly tokens?: readonly WrittenToken[];
  /** What ended it: `stop` and `length` by the model, `stopped` by a person; `writing` while it goes on. */
  readonly finish?: "writing" | "stop" | "length" | "stopped" | "failed";
  readonly seed?: number;
  readonly seconds?: number;
  /** Tokens read and written. */
  readonly usage?: { readonly prompt: number; readonly written: number };
  /** How often it was changed: of two versions the later one counts. */
  readonly version: number;
}

/** One side of the page: a model, and the last turn of the branch that it shows. */
export interface Pane {
  readonly model: string;
  readonly leaf: string | null;
}

/** How answers are written; "" and null leave it to the model. */
export interface WritingSettings {
  readonly system: string;
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly minP: number;
  readonly maxTokens: number | null;
  readonly seed: number | null;
  readonly hasTokens: boolean;
}

/** Turns as a tree, and what the page shows of it. */
export interface Conversation {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly changedAt: number;
  readonly turns: Readonly<Record<string, Turn>>;
  readonly panes: readonly Pane[];
  readonly settings: WritingSettings;
}

export const usualSettings: WritingSettings = {
  system: "",
  temperature: 0.8,
  topP: 1,
  topK: 0,
  minP: 0,
  maxTokens: null,
  seed: null,
  hasTokens: true,
};

/** The turns that lead to one, the first first; none for null. */
export function pathTo({ turns }: Pick<Conversation, "turns">, leaf: string | null): Turn[] {
  const path: Turn[] = [];
  for (let turn = turns[leaf ?? ""]; turn !== undefined && path.length < 10_000; turn = turns[turn.parent ?? ""]) {
    path.unshift(turn);
  }
  return path;
}

/** The branches at a place: turns with the same parent, in the order in which they were made. */
export function branchesOf(
  { turns }: Pick<Conversation, "turns">,
  { parent, role }: Pick<Turn, "parent" | "role">,
): Turn[] {
  return Object.values(turns).filter((turn) => turn.parent === parent && turn.role === role);
}

/** The last turn of the newest branch behind a turn. */
export function newestLeaf({ turns }: Pick<Conversation, "turns">, id: string): string {
  const last = Object.values(turns).findLast(({ parent }) => parent === id);
  return last === undefined ? id : newestLeaf({ turns }, last.id);
}

/**
 * Two versions of a conversation, as two windows have them: all turns of both, of each the later version. What is shown is
 * that of the first.
 */
export function merged(own: Conversation, other: Conversation): Conversation {
  const turns: Record<string, Turn> = { ...own.turns };
  for (const [id, turn] of Object.entries(other.turns)) {
    const known = turns[id];
    if (known === undefined || turn.version > known.version) turns[id] = turn;
  }
  return { ...own, changedAt: Math.max(own.changedAt, other.changedAt), turns };
}

/** A message as the server reads it. */
export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** Turns as messages, the system's first. */
export function messagesOf(turns: readonly Turn[], system: string): Message[] {
  const own = turns.map(({ role, content }) => ({ role, content }));
  return system.trim() === "" ? own : [{ role: "system", content: system }, ...own];
}

/** What a conversation is called in a list: how it begins. */
export function titleOf({ turns }: Pick<Conversation, "turns">): string {
  const first = Object.values(turns).find(({ parent }) => parent === null)?.content ?? "";
  const line = first.trim().split("\n")[0] ?? "";
  return line.length > 60 ? `${line.slice(0, 59)}…` : line || "New conversation";
}

/** What each token adds to a text: a character that several make is the last one's. */
export function textPieces(tokens: readonly WrittenToken[]): string[] {
  const decoder = new TextDecoder();
  return tokens.map(({ text, bytes }) =>
    bytes === undefined ? decoder.decode() + text : decoder.decode(Uint8Array.from(bytes), { stream: true }),
  );
}

/** The text before a token of an answer. */
export function textBefore(tokens: readonly WrittenToken[], place: number): string {
  return textPieces(tokens.slice(0, place)).join("");
}
