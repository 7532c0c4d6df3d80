import type { ScoredToken } from "../generate/sequence-request.ts";
import { StopStrings } from "../generate/stop-strings.ts";
import type { StreamDecoder } from "../text/tokenizer.ts";

/** A token of an answer and where it begins in the answer's text, in code points. */
export interface PlacedToken {
  readonly scored: ScoredToken;
  readonly offset: number;
  /** It ends the answer, and its text is not shown. */
  readonly isEnd: boolean;
}

/** What can be shown of an answer now. */
export interface AnswerPiece {
  readonly text: string;
  /** The tokens that the text, or what will follow it, is made of. */
  readonly tokens: readonly PlacedToken[];
  readonly finish: "stop" | "length" | null;
}

interface Held {
  readonly token: PlacedToken;
  /** Where it begins, in UTF-16 units. */
  readonly start: number;
}

/**
 * Writes one answer, piece by piece as it becomes certain: no piece ends inside a character, or inside what may be the
 * beginning of a stop. Of a token that a stop ends within, what is before the stop is shown.
 */
export class AnswerWriter {
  readonly #decoder: StreamDecoder;
  readonly #stops: StopStrings;
  readonly #ends: ReadonlySet<number>;
  #held: Held[] = [];
  /** Text that was decoded, and text that was shown, in UTF-16 units. */
  #decoded = 0;
  #shown = 0;
  /** Code points decoded. */
  #points = 0;

  /** @param ends - Tokens that end an answer and are not shown. */
  constructor(decoder: StreamDecoder, stops: readonly string[], ends: Iterable<number>) {
    this.#decoder = decoder;
    this.#stops = new StopStrings(stops);
    this.#ends = new Set(ends);
  }

  /** Takes the next token. `finish` of the piece is set when it is the last, also because of a stop. */
  push(scored: ScoredToken, finish: "stop" | "length" | null): AnswerPiece {
    const isEnd = finish === "stop" && this.#ends.has(scored.token);
    this.#held.push({ token: { scored, offset: this.#points, isEnd }, start: this.#decoded });
    let text = isEnd ? "" : this.#decode(this.#decoder.push(scored.token));
    if (finish !== null && !this.#stops.stopped) {
      text += this.#decode(this.#decoder.flush());
      text += this.#stops.flush();
    }
    this.#shown += text.length;
    const ended = this.#stops.stopped ? "stop" : finish;
    return { text, tokens: this.#release(ended !== null), finish: ended };
  }

  #decode(text: string): string {
    this.#decoded += text.length;
    this.#points += lengthOf(text);
    return this.#stops.push(text);
  }

  /** Tokens that begin in what was shown, or right behind it when nothing is held back. */
  #release(isLast: boolean): PlacedToken[] {
    const isAll = !this.#stops.stopped && (isLast || this.#shown === this.#decoded);
    const isCertain = ({ start }: Held): boolean => isAll || start < this.#shown;
    const released = this.#held.filter(isCertain);
    this.#held = isLast ? [] : this.#held.filter((held) => !isCertain(held));
    return released.map(({ token }) => token);
  }
}

/** Code points of a text. */
export function lengthOf(text: string): number {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}
