/** A token that is matched as a whole in text, before the text is cut into words. */
export interface AddedToken {
  readonly id: number;
  /** Its text. */
  readonly content: string;
  /** Match only between characters that belong to no word. */
  readonly singleWord: boolean;
  /** Swallow white space before it. */
  readonly lstrip: boolean;
  /** Swallow white space behind it. */
  readonly rstrip: boolean;
  /** Look for it in normalized text rather than in the text as given. */
  readonly normalized: boolean;
  /** Has a meaning for the model rather than being text, so that decoding may leave it out. */
  readonly special: boolean;
}

/** A special token that matches exactly its text. */
export function specialToken(content: string, id: number): AddedToken {
  return { id, content, singleWord: false, lstrip: false, rstrip: false, normalized: false, special: true };
}

/** The `added_tokens` of `tokenizer.json`. */
export function addedTokensToJson(tokens: readonly AddedToken[]): object[] {
  const inOrder = [...tokens].sort((a, b) => a.id - b.id);
  return inOrder.map(({ id, content, singleWord, lstrip, rstrip, normalized, special }) => ({
    id,
    content,
    single_word: singleWord,
    lstrip,
    rstrip,
    normalized,
    special,
  }));
}

/** Finds added tokens in text: the leftmost, and of those that begin at the same place the longest. */
export class AddedTokenMatcher {
  readonly #pattern: RegExp | null;
  readonly #byContent: ReadonlyMap<string, AddedToken>;

  /** `contentOf` says in what form a token appears in the texts to come. */
  constructor(tokens: readonly AddedToken[], contentOf = (token: AddedToken) => token.content) {
    this.#byContent = new Map(tokens.map((token) => [contentOf(token), token]));
    const longestFirst = [...this.#byContent.keys()].sort((a, b) => b.length - a.length);
    this.#pattern = tokens.length === 0 ? null : new RegExp(longestFirst.map(escapePattern).join("|"), "gu");
  }

  /** Cuts `text` into what lies between added tokens (strings, none empty) and the tokens' ids. */
  split(text: string): (string | number)[] {
    if (text === "") return [];
    if (this.#pattern === null) return [text];
    const parts: (string | number)[] = [];
    let done = 0;
    for (const match of text.matchAll(this.#pattern)) {
      const token = this.#byContent.get(match[0])!;
      const [start, end] = extent(text, match.index, match.index + match[0].length, token);
      if (match.index < done || (token.singleWord && !standsAlone(text, match.index, match[0].length))) continue;
      if (start > done) parts.push(text.slice(done, start));
      parts.push(token.id);
      done = end;
    }
    if (done < text.length) parts.push(text.slice(done));
    return parts;
  }
}

/** A token's place together with the white space it swallows. */
function extent(text: string, start: number, end: number, token: AddedToken): [start: number, end: number] {
  let [before, after] = [start, end];
  if (token.lstrip) while (before > 0 && isSpace(text[before - 1]!)) before -= 1;
  if (token.rstrip) while (after < text.length && isSpace(text[after]!)) after += 1;
  return [before, after];
}

function isSpace(character: string): boolean {
  return /\p{White_Space}/u.test(character);
}

/** Characters that make up words, as Rust's `\w` has them. */
const wordCharacter = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;

function standsAlone(text: string, start: number, length: number): boolean {
  // Characters beyond U+FFFF are two units long.
  const before = [...text.slice(Math.max(0, start - 2), start)].at(-1);
  const [after] = text.slice(start + length, start + length + 2);
  return !wordCharacter.test(before ?? "") && !wordCharacter.test(after ?? "");
}

function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
