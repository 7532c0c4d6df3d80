import { asciiClasses, CharacterClass, classOf } from "./character-class.ts";
import type { PreTokenizer, WordScanner } from "./pre-tokenizer.ts";
import { lastWordBoundary } from "./pre-tokenizer.ts";

const space = 0x20;
const apostrophe = 0x27;
const utf8 = new TextEncoder();

/**
 * GPT-2's words, cut by hand instead of by its pattern, which is
 * `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
 *
 * @see Radford et al. (2019), section 2.2, and the encoder published with it.
 */
export class Gpt2Words implements PreTokenizer {
  /** Whether a text that does not begin with a space is read as if it did, as RoBERTa does. */
  readonly addPrefixSpace: boolean;

  constructor(addPrefixSpace = false) {
    this.addPrefixSpace = addPrefixSpace;
  }

  scan(text: string, continues = false): WordScanner {
    const isPrefixed = this.addPrefixSpace && !continues && !text.startsWith(" ");
    return new Gpt2Scanner(utf8.encode(isPrefixed ? ` ${text}` : text));
  }

  cutPoint(text: string): number {
    return lastWordBoundary(text);
  }

  toJson(): object {
    return { type: "ByteLevel", add_prefix_space: this.addPrefixSpace, trim_offsets: true, use_regex: true };
  }
}

class Gpt2Scanner implements WordScanner {
  readonly bytes: Uint8Array;
  start = 0;
  end = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  next(): boolean {
    this.start = this.end;
    if (this.start >= this.bytes.length) return false;
    this.end = gpt2WordEnd(this.bytes, this.start);
    return true;
  }
}

/** Where the word ends that begins at byte `start` of valid UTF-8 text. */
export function gpt2WordEnd(bytes: Uint8Array, start: number): number {
  const first = bytes[start]!;
  if (first === apostrophe) {
    const length = contractionLength(bytes, start);
    if (length > 0) return start + length;
  }
  let at = start;
  if (first === space && start + 1 < bytes.length && classAt(bytes, start + 1) !== CharacterClass.space) at += 1;
  const kind = classAt(bytes, at);
  const end = runEnd(bytes, at, kind);
  if (kind !== CharacterClass.space || end === bytes.length) return end;
  // `\s+(?!\S)` leaves the last space of a run to the word behind it, or, if it is no plain space, to itself.
  const last = characterStart(bytes, end - 1);
  return last > start ? last : end;
}

/** Bytes of `'s 't 'm 'd 're 've 'll` at an apostrophe, or 0. */
function contractionLength(bytes: Uint8Array, at: number): number {
  const second = String.fromCharCode(bytes[at + 1] ?? 0);
  if ("stmd".includes(second)) return 2;
  const pair = second + String.fromCharCode(bytes[at + 2] ?? 0);
  return pair === "re" || pair === "ve" || pair === "ll" ? 3 : 0;
}

/** End of the run of characters of one class that begins at `from`. */
function runEnd(bytes: Uint8Array, from: number, kind: number): number {
  let at = from;
  while (at < bytes.length && classAt(bytes, at) === kind) at += characterLength(bytes[at]!);
  return at;
}

/** Bytes of the UTF-8 character that begins with `first`. */
function characterLength(first: number): number {
  if (first < 0x80) return 1;
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

function classAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at]!;
  return byte < 0x80 ? asciiClasses[byte]! : classOf(codePointAt(bytes, at));
}

function codePointAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  const second = bytes[at + 1]! & 0x3f;
  if (first < 0xe0) return ((first & 0x1f) << 6) | second;
  const third = bytes[at + 2]! & 0x3f;
  if (first < 0xf0) return ((first & 0x0f) << 12) | (second << 6) | third;
  return ((first & 0x07) << 18) | (second << 12) | (third << 6) | (bytes[at + 3]! & 0x3f);
}

function characterStart(bytes: Uint8Array, within: number): number {
  let at = within;
  while ((bytes[at]! & 0xc0) === 0x80) at -= 1;
  return at;
}
