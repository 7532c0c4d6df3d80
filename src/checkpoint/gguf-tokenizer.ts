import { CheckpointError, UnsupportedError } from "../core/errors.ts";
import { specialToken } from "../text/added-token.ts";
import type { ChatEncoder } from "../text/encode-chat.ts";
import { textProcessor } from "../text/folder-tokens.ts";
import { tokenizerOf } from "../text/read-tokenizer.ts";
import { ScoredMerges, scoresOf, spacesJson } from "../text/score-merges.ts";
import { boundsOf } from "../text/text-bounds.ts";
import type { Tokenizer, TokenizerJson, TokenRole, TokenRoles } from "../text/tokenizer.ts";
import type { ModelPart } from "../text/tokenizer-parts.ts";
import { readTokenizerParts } from "../text/tokenizer-parts.ts";
import type { GgufPreTokenizer } from "./gguf-pre-tokenizer.ts";
import { preTokenizerJson, preTokenizerName, preTokenizerNamed, preTokenizerNames } from "./gguf-pre-tokenizer.ts";
import type { GgufValue } from "./gguf-values.ts";

/** What tokens are to ggml. */
const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** Beside the end of text: what ends a turn, and what ends a message of several. */
const furtherEnds = ["tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"] as const;

const roleKeys: readonly (readonly [TokenRole, key: string])[] = [
  ["bos", "tokenizer.ggml.bos_token_id"],
  ["eos", "tokenizer.ggml.eos_token_id"],
  ["unk", "tokenizer.ggml.unknown_token_id"],
  ["pad", "tokenizer.ggml.padding_token_id"],
];

type Metadata = ReadonlyMap<string, GgufValue>;

/**
 * What reads conversations as the metadata of a GGUF file. `rows` is the height of the model's embedding: rows beyond the
 * last token become tokens that no text has. llama.cpp ends a text at three tokens: the end of text, and two of those that
 * end a turn, the template's own first.
 *
 * @throws {UnsupportedError} when llama.cpp has no such tokenizer.
 */
export function tokenizerMetadata(encoder: ChatEncoder, rows: number): Map<string, GgufValue> {
  const { tokenizer, template } = encoder;
  const tokens = Array.from({ length: rows }, (_, id) => tokenizer.tokenOf(id) ?? `[PAD${id}]`);
  const metadata = new Map<string, GgufValue>([
    ...kindMetadata(tokenizer, tokens),
    ["tokenizer.ggml.tokens", strings(tokens)],
    ["tokenizer.ggml.token_type", { type: "array", elementType: "int32", values: typesOf(tokenizer, rows) }],
  ]);
  const { endOfText } = tokenizer;
  const { before, behind } = boundsOf(tokenizer);
  const idOfRole: Partial<Record<TokenRole, number | null>> = {
    bos: before[0] ?? encoder.beginOfText ?? endOfText,
    eos: endOfText,
  };
  for (const [role, key] of roleKeys) {
    const id = idOfRole[role] ?? tokenizer.idOf(tokenizer.roles[role] ?? "");
    if (id !== null) metadata.set(key, { type: "uint32", value: id });
  }
  const others = [...encoder.endTokens()].filter((id) => id !== endOfText);
  for (const [i, key] of furtherEnds.entries()) {
    const id = others[i];
    if (id !== undefined) metadata.set(key, { type: "uint32", value: id });
  }
  metadata.set("tokenizer.ggml.add_bos_token", { type: "bool", value: before.length > 0 });
  metadata.set("tokenizer.ggml.add_eos_token", { type: "bool", value: behind.length > 0 && behind[0] === endOfText });
  if (template !== null) {
    metadata.set("tokenizer.chat_template", { type: "string", value: withoutGeneration(template.source) });
  }
  return metadata;
}

/**
 * The tokenizer in the metadata of a GGUF file.
 *
 * @throws {UnsupportedError} when it is of a kind that is not known here.
 * @throws {CheckpointError} when its parts are missing or do not belong together.
 */
export function tokenizerFromMetadata(where: string, metadata: Metadata): Tokenizer {
  const model = text(metadata, "tokenizer.ggml.model");
  const pre = text(metadata, "tokenizer.ggml.pre") ?? "gpt-2";
  const cutting = preTokenizerNamed(pre);
  if (model !== "llama" && (model !== "gpt2" || cutting === null)) {
    throw new UnsupportedError(
      `${where}: its tokenizer is ${model ?? "missing"} (${pre}); known are llama, and gpt2 with ${preTokenizerNames}`,
    );
  }
  const tokens = texts(where, metadata, "tokenizer.ggml.tokens");
  const types = metadata.get("tokenizer.ggml.token_type");
  const typeOf = (id: number): number => (types?.type === "array" ? Number(types.values[id]) : tokenTypes.normal);
  const roles = rolesOf(tokens, metadata);
  const isSentencePiece = model === "llama";
  const addedTokens = tokens.flatMap((content, id) => {
    const type = typeOf(id);
    const special = type === tokenTypes.control || type === tokenTypes.unknown;
    return special || type === tokenTypes.userDefined ? [{ ...specialToken(content, id), special }] : [];
  });
  const json = {
    post_processor: textProcessor(
      // As llama.cpp has it where a file does not say.
      flag(metadata, "tokenizer.ggml.add_bos_token", isSentencePiece || cutting?.beginsText === true)
        ? roles.bos
        : undefined,
      flag(metadata, "tokenizer.ggml.add_eos_token", false) ? roles.eos : undefined,
      (token) => tokens.indexOf(token),
    ),
    ...(isSentencePiece ? spacesJson(flag(metadata, "tokenizer.ggml.add_space_prefix", true)) : byteLevelJson(cutting)),
  };
  const part = isSentencePiece
    ? sentencePieceModel(where, metadata, tokens, typeOf)
    : byteLevelModel(where, metadata, tokens, { typeOf, ignoresMerges: cutting?.ignoresMerges === true });
  const parts = readTokenizerParts(where, json, roles, { type: "BPE", pieces: [], merges: [], ...part });
  return tokenizerOf({ ...parts, addedTokens });
}

/** All tokens that end a text or a turn in the metadata of a GGUF file; the end of text comes first. */
export function endsFromMetadata(metadata: Metadata, tokenizer: Tokenizer): ReadonlySet<number> {
  const ids = [tokenizer.endOfText, ...furtherEnds.map((key) => idAt(metadata, key))];
  return new Set(ids.filter((id) => id !== null && tokenizer.tokenOf(id) !== null)) as Set<number>;
}

/** The chat template in the metadata of a GGUF file, or null. */
export function chatTemplateFromMetadata(metadata: Metadata): string | null {
  return text(metadata, "tokenizer.chat_template");
}

/** What only some kinds of tokenizers have. */
function kindMetadata(tokenizer: Tokenizer, tokens: readonly string[]): [string, GgufValue][] {
  const json = tokenizer.toJson() as BpeJson;
  if (tokenizer.kind === "byte-level-bpe") {
    return [
      ["tokenizer.ggml.model", { type: "string", value: "gpt2" }],
      [
        "tokenizer.ggml.pre",
        { type: "string", value: preTokenizerName(json.pre_tokenizer, json.model.ignore_merges === true) },
      ],
      ["tokenizer.ggml.merges", strings(json.model.merges.map((merge) => joined(merge)))],
    ];
  }
  if (tokenizer.kind === "sentencepiece-bpe") {
    const scores = scoresOf(tokens, json.model.merges.map(split));
    const [first = -1] = tokenizer.encode("a");
    const addsSpace = tokenizer.tokenOf(first)?.startsWith("▁") ?? false;
    return [
      ["tokenizer.ggml.model", { type: "string", value: "llama" }],
      ["tokenizer.ggml.scores", { type: "array", elementType: "float32", values: scores }],
      ["tokenizer.ggml.add_space_prefix", { type: "bool", value: addsSpace }],
    ];
  }
  throw new UnsupportedError(
    `gguf: llama.cpp has no tokenizer of the kind "${tokenizer.kind}"; a model with byte-level BPE can be exported`,
  );
}

/** Merges are text with a space between, or pairs. */
interface BpeJson extends TokenizerJson {
  readonly model: TokenizerJson["model"] & {
    readonly merges: readonly (string | readonly [string, string])[];
    readonly ignore_merges?: boolean;
  };
}

function joined(merge: string | readonly [string, string]): string {
  return typeof merge === "string" ? merge : merge.join(" ");
}

/** A merge's two tokens; a token may itself begin with a space in spellings other than GPT-2's. */
function split(merge: string | readonly [string, string]): readonly [string, string] {
  if (typeof merge !== "string") return merge;
  const space = merge.indexOf(" ", 1);
  return [merge.slice(0, space), merge.slice(space + 1)];
}

/**
 * The template without `generation` blocks, which mark what to train on: other programs' Jinja does not know them. Each
 * becomes a condition that always holds, so that white space stays as it was.
 */
function withoutGeneration(template: string): string {
  return template
    .replace(/\{%([-+]?)\s*generation\s*([-+]?)%\}/g, "{%$1 if true $2%}")
    .replace(/\{%([-+]?)\s*endgeneration\s*([-+]?)%\}/g, "{%$1 endif $2%}");
}

function typesOf(tokenizer: Tokenizer, rows: number): Int32Array {
  const added = new Map(tokenizer.addedTokens.map((token) => [token.id, token]));
  const unknown = tokenizer.kind === "sentencepiece-bpe" ? tokenizer.idOf(tokenizer.roles.unk ?? "") : null;
  return Int32Array.from({ length: rows }, (_, id) => {
    const token = added.get(id);
    if (id === unknown) return tokenTypes.unknown;
    if (token) return token.special ? tokenTypes.control : tokenTypes.userDefined;
    const spelling = tokenizer.tokenOf(id);
    if (spelling === null) return tokenTypes.unused;
    return tokenizer.kind === "sentencepiece-bpe" && /^<0x[0-9A-F]{2}>$/.test(spelling)
      ? tokenTypes.byte
      : tokenTypes.normal;
  });
}

type TypeOf = (id: number) => number;

function byteLevelJson(cutting: GgufPreTokenizer | null): object {
  return { decoder: { type: "ByteLevel" }, pre_tokenizer: cutting && preTokenizerJson(cutting) };
}

/** What differs between the kinds of models. */
type OwnModelPart = Pick<ModelPart, "vocabulary" | "fields"> & Partial<ModelPart>;

function byteLevelModel(
  where: string,
  metadata: Metadata,
  tokens: readonly string[],
  { typeOf, ignoresMerges }: { readonly typeOf: TypeOf; readonly ignoresMerges: boolean },
): OwnModelPart {
  return {
    vocabulary: idsOf(tokens, (id) => typeOf(id) === tokenTypes.normal),
    merges: texts(where, metadata, "tokenizer.ggml.merges").map(split),
    fields: { ignore_merges: ignoresMerges },
  };
}

function sentencePieceModel(
  where: string,
  metadata: Metadata,
  tokens: readonly string[],
  typeOf: TypeOf,
): OwnModelPart {
  const scores = metadata.get("tokenizer.ggml.scores");
  if (scores?.type !== "array" || !(scores.values instanceof Float32Array) || scores.values.length !== tokens.length) {
    throw new CheckpointError(`${where}: tokenizer.ggml.scores is missing or not as long as the list of tokens`);
  }
  const vocabulary = idsOf(tokens, (id) => typeOf(id) !== tokenTypes.unused);
  const isNormal = (id: number): boolean => typeOf(id) === tokenTypes.normal;
  const unknown = tokens.find((_, id) => typeOf(id) === tokenTypes.unknown) ?? null;
  return {
    vocabulary,
    scoredMerges: new ScoredMerges(vocabulary, scores.values, isNormal),
    fields: { byte_fallback: true, fuse_unk: true, ignore_merges: false, unk_token: unknown },
  };
}

/** Ids of tokens by their text; of those that are spelled alike the last counts. */
function idsOf(tokens: readonly string[], isMeant: (id: number) => boolean): ReadonlyMap<string, number> {
  const ids = new Map<string, number>();
  for (const [id, token] of tokens.entries()) if (isMeant(id)) ids.set(token, id);
  return ids;
}

function rolesOf(tokens: readonly string[], metadata: Metadata): TokenRoles {
  return Object.fromEntries(
    roleKeys.flatMap(([role, key]) => {
      const token = tokens[idAt(metadata, key) ?? -1];
      return token === undefined ? [] : [[role, token]];
    }),
  ) as TokenRoles;
}

function idAt(metadata: Metadata, key: string): number | null {
  const value = metadata.get(key);
  return value?.type === "uint32" ? value.value : null;
}

function strings(values: readonly string[]): GgufValue {
  return { type: "array", elementType: "string", values };
}

function flag(metadata: Metadata, key: string, otherwise: boolean): boolean {
  const value = metadata.get(key);
  return value?.type === "bool" ? value.value : otherwise;
}

function text(metadata: Metadata, key: string): string | null {
  const value = metadata.get(key);
  return value?.type === "string" ? value.value : null;
}

function texts(where: string, metadata: Metadata, key: string): readonly string[] {
  const value = metadata.get(key);
  if (value?.type === "array" && value.elementType === "string") return value.values as readonly string[];
  throw new CheckpointError(`${where}: ${key} is missing or no list of texts; the file is damaged or incomplete`);
}
