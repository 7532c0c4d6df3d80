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

/**
 * Finds added tokens in text: the leftmost, and of those that begin at the same place the longest. There may be thousands,
 * of few lengths: at each place where one can begin, a text of each length is looked up.
 */
export class AddedTokenMatcher {
  readonly #byContent: ReadonlyMap<string, AddedToken>;
  /** The characters that tokens begin with; null where there are none. */
  readonly #beginning: RegExp | null;
  /** Lengths of tokens, the longest first. */
  readonly #lengths: readonly number[];

  /** `contentOf` says in what form a token appears in the texts to come; one of no characters never does. */
  constructor(tokens: readonly AddedToken[], contentOf = (token: AddedToken) => token.content) {
    this.#byContent = new Map(
      tokens.flatMap((token) => {
        const content = contentOf(token);
        return content === "" ? [] : [[content, token]];
      }),
    );
    const contents = [...this.#byContent.keys()];
    const first = new Set(contents.map((content) => String.fromCodePoint(content.codePointAt(0) ?? 0)));
    this.#beginning = first.size === 0 ? null : new RegExp(`[${[...first].map(escapeInClass).join("")}]`, "gu");
    this.#lengths = [...new Set(contents.map(({ length }) => length))].sort((a, b) => b - a);
  }

  /** Cuts `text` into what lies between added tokens (strings, none empty) and the tokens' ids. */
  split(text: string): (string | number)[] {
    if (text === "") return [];
    const parts: (string | number)[] = [];
    let done = 0;
    for (let at = this.#nextBeginning(text, 0); at >= 0; ) {
      const length = this.#lengthAt(text, at);
      const token = this.#byContent.get(text.slice(at, at + length));
      if (token && at >= done && (!token.singleWord || standsAlone(text, at, length))) {
        const [start, end] = extent(text, at, at + length, token);
        if (start > done) parts.push(text.slice(done, start));
        parts.push(token.id);
        done = end;
      }
      at = this.#nextBeginning(text, at + length);
    }
    if (done < text.length) parts.push(text.slice(done));
    return parts;
  }

  #nextBeginning(text: string, from: number): number {
    if (this.#beginning === null) return -1;
    this.#beginning.lastIndex = from;
    return this.#beginning.exec(text)?.index ?? -1;
  }

  /** Length of the longest token at a place, or of the character there. */
  #lengthAt(text: string, at: number): number {
    const isToken = (length: number): boolean =>
      at + length <= text.length && this.#byContent.has(text.slice(at, at + length));
    return this.#lengths.find(isToken) ?? ((text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1);
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

function escapeInClass(character: string): string {
  return character.replace(/[\\\]^-]/, "\\$&");
}
