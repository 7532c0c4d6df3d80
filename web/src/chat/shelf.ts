import type { Conversation } from "./conversation.ts";
import { titleOf } from "./conversation.ts";

const prefix = "stemma.chat.";

/** A conversation in the list of all. */
export interface ShelfEntry {
  readonly id: string;
  readonly title: string;
  readonly changedAt: number;
}

/** Conversations that this browser keeps, the newest first. */
export function shelf(): ShelfEntry[] {
  const names = Array.from({ length: localStorage.length }, (_, i) => localStorage.key(i) ?? "");
  return names
    .filter((name) => name.startsWith(prefix))
    .flatMap((name) => {
      const conversation = readConversation(name.slice(prefix.length));
      if (conversation === null) return [];
      return [{ id: conversation.id, title: titleOf(conversation), changedAt: conversation.changedAt }];
    })
    .sort((a, b) => b.changedAt - a.changedAt);
}

/** One of them; null where there is none, or it is damaged. */
export function readConversation(id: string): Conversation | null {
  const text = localStorage.getItem(prefix + id);
  return text === null ? null : parsed(text);
}

/** Keeps a conversation; where there is no room for what its tokens could have been, without that. Says whether it is kept. */
export function writeConversation(conversation: Conversation): boolean {
  const turns = Object.entries(conversation.turns).map(([id, { tokens: _, ...turn }]) => [id, turn] as const);
  for (const version of [conversation, { ...conversation, turns: Object.fromEntries(turns) }]) {
    try {
      localStorage.setItem(prefix + conversation.id, JSON.stringify(version));
      return true;
    } catch {
      // no room
    }
  }
  return false;
}

/** Forgets a conversation. */
export function removeConversation(id: string): void {
  localStorage.removeItem(prefix + id);
}

/** Tells what another window made of a conversation, until the function that this gives is called. */
export function watchConversation(id: string, changed: (conversation: Conversation) => void): () => void {
  const listen = ({ key, newValue }: StorageEvent): void => {
    const conversation = key === prefix + id && newValue !== null ? parsed(newValue) : null;
    if (conversation) changed(conversation);
  };
  addEventListener("storage", listen);
  return () => removeEventListener("storage", listen);
}

function parsed(text: string): Conversation | null {
  try {
    const value = JSON.parse(text) as Partial<Conversation>;
    const isWhole = typeof value.id === "string" && value.turns && Array.isArray(value.panes) && value.settings;
    return isWhole ? (value as Conversation) : null;
  } catch {
    return null;
  }
}
