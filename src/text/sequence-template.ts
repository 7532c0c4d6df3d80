import type { FramedIds } from "./tokenizer.ts";

/** One place of a {@link SequenceTemplate}: a special token, or where a text goes. */
export type TemplatePiece = { readonly typeId: number } & (
  | { readonly token: string; readonly ids: readonly number[] }
  | { readonly sequence: "A" | "B" }
);

/** How special tokens surround one text and a pair of texts, such as `[CLS] A [SEP] B [SEP]`. */
export class SequenceTemplate {
  readonly single: readonly TemplatePiece[];
  readonly pair: readonly TemplatePiece[];

  constructor(single: readonly TemplatePiece[], pair: readonly TemplatePiece[]) {
    this.single = single;
    this.pair = pair;
  }

  /** As {@link Tokenizer.frame}. */
  frame(first: Int32Array, second?: Int32Array): FramedIds {
    const ids: number[] = [];
    const typeIds: number[] = [];
    for (const piece of second === undefined ? this.single : this.pair) {
      const content = "ids" in piece ? piece.ids : piece.sequence === "A" ? first : (second ?? []);
      for (const id of content) {
        ids.push(id);
        typeIds.push(piece.typeId);
      }
    }
    return { ids: Int32Array.from(ids), typeIds: Int32Array.from(typeIds) };
  }

  /** The `post_processor` entry of `tokenizer.json`. */
  toJson(): object {
    const special = [...this.single, ...this.pair].filter((piece) => "ids" in piece);
    return {
      type: "TemplateProcessing",
      single: this.single.map(pieceToJson),
      pair: this.pair.map(pieceToJson),
      special_tokens: Object.fromEntries(
        special.map(({ token, ids }) => [
          token,
          { id: token, ids, tokens: ids.length === 1 ? [token] : ids.map(String) },
        ]),
      ),
    };
  }
}

/** Texts one after the other, without special tokens. */
export const plainSequence = new SequenceTemplate(
  [{ sequence: "A", typeId: 0 }],
  [
    { sequence: "A", typeId: 0 },
    { sequence: "B", typeId: 1 },
  ],
);

function pieceToJson(piece: TemplatePiece): object {
  return "ids" in piece
    ? { SpecialToken: { id: piece.token, type_id: piece.typeId } }
    : { Sequence: { id: piece.sequence, type_id: piece.typeId } };
}
