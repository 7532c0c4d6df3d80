const ends = [". ", "! ", "? ", "… ", "\n"] as const;
/** Longer than any sentence that one wants to hear at once, in UTF-16 units. */
const longest = 600;

/** Tells a text that comes in pieces sentence by sentence, as a screen reader can say it. */
export class SentenceReader {
  readonly #say: (sentence: string) => void;
  #rest = "";

  constructor(say: (sentence: string) => void) {
    this.#say = say;
  }

  push(text: string): void {
    this.#rest += text;
    const end = Math.max(...ends.map((mark) => this.#rest.lastIndexOf(mark)));
    if (end < 0 && this.#rest.length < longest) return;
    const length = end < 0 ? this.#rest.length : end + 1;
    this.#tell(this.#rest.slice(0, length));
    this.#rest = this.#rest.slice(length);
  }

  end(): void {
    this.#tell(this.#rest);
    this.#rest = "";
  }

  #tell(text: string): void {
    if (text.trim() !== "") this.#say(text.trim().slice(0, longest));
  }
}
