import type { StreamDecoder } from "./tokenizer.ts";

/** How SentencePiece's vocabularies spell a byte. */
export function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

/** Ids of the tokens for each byte, −1 where there is none, and the byte of each such token. */
export class ByteTokens {
  readonly #ids: Int32Array;
  readonly #byteOfId: ReadonlyMap<number, number>;

  constructor(vocabulary: ReadonlyMap<string, number>) {
    this.#ids = Int32Array.from({ length: 256 }, (_, byte) => vocabulary.get(byteToken(byte)) ?? -1);
    this.#byteOfId = new Map([...this.#ids].map((id, byte) => [id, byte]));
  }

  /** Ids of the bytes of a text in UTF-8, or null when one has no token. */
  idsOf(text: string): number[] | null {
    const ids = [...utf8.encode(text)].map((byte) => this.#ids[byte]!);
    return ids.includes(-1) ? null : ids;
  }

  /**
   * Joins tokens and bytes to text in which `▁` is a space.
   *
   * @param shown - Spelling of a token, or null where it is to be left out.
   * @param dropsFirstSpace - Whether the space that a text begins with is left out.
   */
  streamDecoder(shown: (id: number) => string | null, dropsFirstSpace: boolean): StreamDecoder {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    let isStart = true;
    const begin = (text: string): string => {
      if (!isStart || text === "") return text;
      isStart = false;
      return dropsFirstSpace && text.startsWith(" ") ? text.slice(1) : text;
    };
    return {
      push: (id) => {
        const token = shown(id);
        if (token === null) return "";
        const byte = this.#byteOfId.get(id);
        if (byte !== undefined) return begin(decoder.decode(Uint8Array.of(byte), { stream: true }));
        return begin(decoder.decode() + token.replaceAll("▁", " "));
      },
      flush: () => {
        const rest = begin(decoder.decode());
        isStart = true;
        return rest;
      },
    };
  }
}

const utf8 = new TextEncoder();
