import { isJsonObject } from "../../files/json.ts";
import type { ToolStyle } from "./tool-style.ts";

/** A call that a model asks for, as OpenAI's interface has it. */
export interface ToolCall {
  readonly id: string;
  readonly type: "function";
  readonly function: {
    readonly name: string;
    /** JSON text. */
    readonly arguments: string;
  };
}

/** What became certain of an answer: text that is shown, and calls that are complete. */
export interface AnswerPiece {
  readonly content: string;
  readonly calls: readonly ToolCall[];
}

/**
 * Parts an answer, piece by piece as it comes, into what is said and the tools that are called. What cannot be read as
 * calls is shown as it is once the answer ends. Special tokens must be in the text.
 */
export class ToolCallReader {
  readonly #style: ToolStyle;
  readonly #newId: () => string;
  readonly #first: RegExp;
  readonly #next: RegExp | null;
  readonly #tail: RegExp;
  /** Not yet given: what may be the beginning of a call, white space before it, or a call. */
  #held = "";
  /** Whether anything but white space was shown. */
  #hasSpoken = false;
  #isCalling = false;
  #calls = 0;

  constructor(style: ToolStyle, newId: () => string = newCallId) {
    this.#style = style;
    this.#newId = newId;
    const callBehind = (text: string): RegExp => new RegExp(`^\\s*${loose(text)}([\\w.-]+)${loose(style.middle)}`);
    this.#first = callBehind(style.head);
    this.#next = style.between === null ? null : callBehind(style.between);
    this.#tail = new RegExp(`^\\s*${loose(style.tail)}\\s*`);
  }

  /** Goes on by a text → what became certain. */
  push(text: string): AnswerPiece {
    this.#held += text;
    const content = this.#isCalling ? "" : this.#say();
    return { content, calls: this.#isCalling ? this.#completeCalls() : [] };
  }

  /** The rest. */
  end(): AnswerPiece {
    const rest = this.#calls > 0 ? this.#held.replace(this.#tail, "") : this.#held;
    this.#held = "";
    return { content: rest.trim() === "" && this.#calls > 0 ? "" : rest, calls: [] };
  }

  /** Takes what is certainly no call out of what is held, and sees whether one begins. */
  #say(): string {
    const start = this.#callStart();
    this.#isCalling = start >= 0;
    const end = this.#isCalling ? this.#held.slice(0, start).trimEnd().length : this.#held.length - this.#uncertain();
    const content = this.#held.slice(0, end);
    this.#held = this.#held.slice(this.#isCalling ? start : end);
    this.#hasSpoken ||= content.trim() !== "";
    return content;
  }

  /** Where calls begin in what is held; −1: nowhere yet. Without a mark, an answer that begins like a call is one. */
  #callStart(): number {
    const { mark, head } = this.#style;
    if (mark !== null) return this.#held.indexOf(mark);
    const start = this.#held.search(/\S/);
    return !this.#hasSpoken && start >= 0 && head.startsWith(this.#held[start] ?? "") ? start : -1;
  }

  /** Characters at the end of what is held that may belong to a call. */
  #uncertain(): number {
    const { mark } = this.#style;
    const most = mark === null ? 0 : Math.min(mark.length - 1, this.#held.length);
    for (let length = most; length > 0; length--) {
      if (mark && this.#held.endsWith(mark.slice(0, length))) return length + blankEnd(this.#held.slice(0, -length));
    }
    return blankEnd(this.#held);
  }

  /** Takes the calls that are complete out of what is held. */
  #completeCalls(): ToolCall[] {
    const calls: ToolCall[] = [];
    for (;;) {
      const begin = (this.#calls === 0 ? this.#first : this.#next)?.exec(this.#held);
      const name = begin?.[1];
      if (!begin || name === undefined) return calls;
      const end = objectEnd(this.#held, begin[0].length);
      const given = end === null ? null : parse(this.#held.slice(begin[0].length, end));
      if (end === null || !isJsonObject(given)) return calls;
      calls.push({ id: this.#newId(), type: "function", function: { name, arguments: JSON.stringify(given) } });
      this.#calls += 1;
      this.#held = this.#held.slice(end);
    }
  }
}

function newCallId(): string {
  return `call_${crypto.randomUUID().replaceAll("-", "").slice(0, 24)}`;
}

/** A text as a pattern, in which any white space, also none, stands for any other. */
function loose(text: string): string {
  return text
    .split(/\s+/)
    .map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&"))
    .join("\\s*");
}

function blankEnd(text: string): number {
  return text.length - text.trimEnd().length;
}

/** A string, a bracket that opens, or one that closes. */
const bracketOrString = /"(?:[^"\\]|\\.)*"|\{|\}/gs;

/** Where the JSON object that begins at a place ends; null where it does not yet. */
function objectEnd(text: string, start: number): number | null {
  let depth = 0;
  for (const { 0: found, index } of text.slice(start).matchAll(bracketOrString)) {
    if (found === "{") depth += 1;
    else if (found === "}") depth -= 1;
    if (depth === 0) return start + index + found.length;
  }
  return null;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
