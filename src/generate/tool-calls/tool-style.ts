import { DataError, UnsupportedError } from "../../core/errors.ts";
import type { ChatMessage } from "../../text/chat-message.ts";
import { assistantRole } from "../../text/chat-message.ts";
import type { ChatWriter } from "../../text/chat-writer.ts";

/** What a chat template writes around calls of tools, which is what its model writes: `head name middle arguments tail`. */
export interface ToolStyle {
  readonly head: string;
  readonly middle: string;
  readonly tail: string;
  /** Between the arguments of one call and the name of the next; null where an answer has one call at most. */
  readonly between: string | null;
  /** What a call begins with and no other answer has, such as `<tool_call>`; null where it begins as any text may. */
  readonly mark: string | null;
}

const question: ChatMessage = { role: "user", content: "Qzask" };
const names = ["qz_one", "qz_two"] as const;
const tools = names.map((name) => ({
  type: "function",
  function: { name, description: "Qzdescription", parameters: { type: "object", properties: {} } },
}));

/**
 * Finds out how a model calls tools by rendering conversations in which it did, whatever its template looks like.
 *
 * @throws {UnsupportedError} beginning with `tools:`, when the template does not know them, or writes calls otherwise
 * than as a name and arguments in JSON.
 */
export function toolStyle(writer: ChatWriter): ToolStyle {
  const found = styleOf(writer);
  if (found) return found;
  throw new UnsupportedError(
    "tools: the model's chat template does not know them; leave tools out, or take a model that was trained with them",
  );
}

function styleOf(writer: ChatWriter): ToolStyle | null {
  if (!writer.template || !rendered(writer, [question])?.includes(names[0])) return null;
  const one = answerText(writer, 1);
  const first = one && cut(one, 0);
  if (!first) return null;
  const { before: head, middle, behind } = first;
  const tail = withoutEnd(writer, behind);
  const two = answerText(writer, 2);
  const isSame = two?.startsWith(`${head}${names[0]}${middle}`) ?? false;
  const second = two && isSame ? cut(two.slice(head.length + names[0].length + middle.length), 1) : null;
  const begin = second?.before.search(/\}/) ?? -1;
  const between = second && second.middle === middle && begin >= 0 ? second.before.slice(begin + 1) : null;
  return { head: head.trimStart(), middle, tail, between, mark: markOf(head) };
}

/** A name and arguments that a model was trained with stand in the text as they are. */
function cut(text: string, call: 0 | 1): { before: string; middle: string; behind: string } | null {
  const at = text.indexOf(names[call]);
  const rest = text.slice(at + names[call].length);
  const args = /\{\s*"qz_key"\s*:\s*"Qzvalue"\s*\}/.exec(rest);
  if (at < 0 || !args) return null;
  return {
    before: text.slice(0, at),
    middle: rest.slice(0, args.index),
    behind: rest.slice(args.index + args[0].length),
  };
}

/** What the template writes for an answer of so many calls, its end included; null where it refuses. */
function answerText(writer: ChatWriter, count: number): string | null {
  const calls = names.slice(0, count).map((name, i) => ({
    ...{ id: `call0000${i}`, type: "function" },
    function: { name, arguments: { qz_key: "Qzvalue" } },
  }));
  const before = rendered(writer, [question]);
  const turns = [question, { role: assistantRole, content: "", tool_calls: calls }];
  const after = rendered(writer, [
    ...turns,
    { role: "tool", name: names[0], tool_call_id: "call00000", content: "Qzresult" },
  ]);
  if (before === null || after === null) return null;
  // Some templates begin what is to be answered with more than what was answered: with an empty thought, for one.
  const shared = sharedLength(before, after);
  const text = after.slice(Math.max(shared, after.indexOf(question.content) + question.content.length));
  return text.includes("Qzresult") ? text.slice(0, text.indexOf("Qzresult")) : text;
}

function sharedLength(a: string, b: string): number {
  let shared = 0;
  while (shared < a.length && a[shared] === b[shared]) shared++;
  return shared;
}

function rendered(writer: ChatWriter, messages: readonly ChatMessage[]): string | null {
  try {
    return writer.promptText(messages, { tools });
  } catch (error) {
    if (error instanceof DataError) return null;
    throw error;
  }
}

/** What stands behind the arguments, up to where the turn ends: at a special token that ends answers. */
function withoutEnd(writer: ChatWriter, text: string): string {
  const ends = [...writer.ends, ...writer.texts.special].flatMap((token) => {
    const at = /tool/i.test(token) ? -1 : text.indexOf(token);
    return at < 0 ? [] : [at];
  });
  return text.slice(0, Math.min(...ends, text.length)).trimEnd();
}

/** `<tool_call>`, `[TOOL_CALLS]`, `<|python_tag|>`: a name in brackets that nobody else writes. */
function markOf(head: string): string | null {
  return /^\s*(<[^>\s]+>|\[[A-Z_]+\])/.exec(head)?.[1] ?? null;
}
