import { UnsupportedError } from "../core/errors.ts";
import type { Tokenizer, TokenizerJson, TokenRole } from "../text/tokenizer.ts";
import type { GgufValue } from "./gguf-values.ts";

/** What tokens are to ggml. */
const [normal, control, unused] = [1, 3, 5];

/** llama.cpp's own spelling of the one that separates. */
const roleKeys: readonly (readonly [TokenRole, key: string])[] = [
  ["cls", "tokenizer.ggml.bos_token_id"],
  ["cls", "tokenizer.ggml.cls_token_id"],
  ["sep", "tokenizer.ggml.eos_token_id"],
  ["sep", "tokenizer.ggml.seperator_token_id"],
  ["unk", "tokenizer.ggml.unknown_token_id"],
  ["pad", "tokenizer.ggml.padding_token_id"],
  ["mask", "tokenizer.ggml.mask_token_id"],
];

interface WordPieceJson extends TokenizerJson {
  readonly normalizer: { readonly type?: string; readonly lowercase?: boolean } | null;
  readonly model: TokenizerJson["model"] & { readonly continuing_subword_prefix?: string };
}

/**
 * A WordPiece tokenizer as the metadata of a GGUF file: what begins a word is marked there, and not what goes on.
 *
 * @param rows - Height of the model's embedding.
 * @param segments - Kinds of segments that the model tells apart.
 * @throws {UnsupportedError} when it is of another kind, or leaves words as they are written, which llama.cpp does not.
 */
export function wordPieceMetadata(tokenizer: Tokenizer, rows: number, segments: number): Map<string, GgufValue> {
  const { normalizer, model } = tokenizer.toJson() as WordPieceJson;
  if (tokenizer.kind !== "wordpiece") {
    throw new UnsupportedError(
      `gguf: llama.cpp reads an encoder's text by WordPiece, this tokenizer is of the kind "${tokenizer.kind}"; ` +
        "a BERT with WordPiece can be exported",
    );
  }
  if (normalizer?.lowercase !== true) {
    throw new UnsupportedError(
      "gguf: llama.cpp lower-cases what WordPiece reads, this tokenizer does not (normalizer.lowercase of tokenizer.json " +
        "is not true); take a model without capitals",
    );
  }
  const prefix = model.continuing_subword_prefix ?? "##";
  const special = new Set(tokenizer.specialTokens.values());
  const spelled = (id: number): string => {
    const token = tokenizer.tokenOf(id) ?? `[PAD${id}]`;
    if (special.has(id) || tokenizer.tokenOf(id) === null) return token;
    return token.startsWith(prefix) ? token.slice(prefix.length) : `▁${token}`;
  };
  const ids = Array.from({ length: rows }, (_, id) => id);
  const typeOf = (id: number): number => {
    if (special.has(id)) return control;
    return tokenizer.tokenOf(id) === null ? unused : normal;
  };
  const metadata = new Map<string, GgufValue>([
    ["tokenizer.ggml.model", { type: "string", value: "bert" }],
    ["tokenizer.ggml.tokens", { type: "array", elementType: "string", values: ids.map(spelled) }],
    ["tokenizer.ggml.token_type", { type: "array", elementType: "int32", values: Int32Array.from(ids, typeOf) }],
    ["tokenizer.ggml.token_type_count", { type: "uint32", value: segments }],
  ]);
  for (const [role, key] of roleKeys) {
    const id = tokenizer.idOf(tokenizer.roles[role] ?? "");
    if (id !== null) metadata.set(key, { type: "uint32", value: id });
  }
  return metadata;
}
