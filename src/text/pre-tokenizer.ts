/** Cuts text into the words within which tokens are merged. */
export interface PreTokenizer {
  /** Starts on a text; one that `continues` another is read without a space before it. */
  scan(text: string, continues?: boolean): WordScanner;
  /** As {@link Tokenizer.cutPoint}. */
  cutPoint(text: string): number;
  /** The `pre_tokenizer` entry of `tokenizer.json`. */
  toJson(): object;
}

/** Walks over the words of one text, which lie in {@link WordScanner.bytes} one after the other. */
export interface WordScanner {
  /** UTF-8 of the text. */
  readonly bytes: Uint8Array;
  /** First byte of the current word. */
  readonly start: number;
  /** Byte after the current word. */
  readonly end: number;
  /** Goes to the next word; false when there is none. */
  next(): boolean;
}

/**
 * The last place where a word ends before a plain space whatever follows, for patterns in which a space can only begin
 * a word: after a character that is no white space and before U+0020. 0 when there is none.
 */
export function lastWordBoundary(text: string): number {
  for (let at = text.lastIndexOf(" "); at > 0; at = text.lastIndexOf(" ", at - 1)) {
    if (!/\p{White_Space}/u.test(text[at - 1]!)) return at;
  }
  return 0;
}
