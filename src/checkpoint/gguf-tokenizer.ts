import { CheckpointError, UnsupportedError } from "../core/errors.ts";
import { tokenizerFromJson } from "../text/load-tokenizer.ts";
import type { Tokenizer, TokenizerJson, TokenRole, TokenRoles } from "../text/tokenizer.ts";
import type { GgufValue } from "./gguf-values.ts";

/** What tokens are to ggml. */
const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** ggml's names for ways to cut text, and the pattern of each; null for GPT-2's, which is built in. */
const preTokenizers: readonly (readonly [name: string, pattern: string | null])[] = [
  ["gpt-2", null],
  [
    "llama-bpe",
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  ],
  [
    "qwen2",
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  ],
];

const roleKeys: readonly (readonly [TokenRole, key: string])[] = [
  ["bos", "tokenizer.ggml.bos_token_id"],
  ["eos", "tokenizer.ggml.eos_token_id"],
  ["unk", "tokenizer.ggml.unknown_token_id"],
  ["pad", "tokenizer.ggml.padding_token_id"],
];

/**
 * A tokenizer as the metadata of a GGUF file. `rows` is the height of the model's embedding: rows beyond the last token
 * become tokens that no text has.
 *
 * @throws {UnsupportedError} when llama.cpp has no such tokenizer.
 */
export function tokenizerMetadata(
  tokenizer: Tokenizer,
  rows: number,
  chatTemplate: string | null,
): Map<string, GgufValue> {
  if (tokenizer.kind !== "byte-level-bpe") {
    throw new UnsupportedError(
      `gguf: llama.cpp has no tokenizer of the kind "${tokenizer.kind}"; a model with byte-level BPE can be exported`,
    );
  }
  const json = tokenizer.toJson() as BpeJson;
  const metadata = new Map<string, GgufValue>([
    ["tokenizer.ggml.model", { type: "string", value: "gpt2" }],
    ["tokenizer.ggml.pre", { type: "string", value: preTokenizerName(json.pre_tokenizer) }],
    ["tokenizer.ggml.tokens", strings(Array.from({ length: rows }, (_, id) => tokenizer.tokenOf(id) ?? `[PAD${id}]`))],
    ["tokenizer.ggml.token_type", { type: "array", elementType: "int32", values: typesOf(tokenizer, rows) }],
    ["tokenizer.ggml.merges", strings(json.model.merges)],
  ]);
  const roles = { ...tokenizer.roles };
  const end = tokenizer.endOfText;
  if (end !== null) roles.eos ??= tokenizer.tokenOf(end) ?? "";
  for (const [role, key] of roleKeys) {
    const id = tokenizer.idOf(roles[role] ?? "");
    if (id !== null) metadata.set(key, { type: "uint32", value: id });
  }
  const [first] = tokenizer.frame(new Int32Array(0)).ids;
  const beginsWithBos = first !== undefined && first === tokenizer.idOf(roles.bos ?? "");
  metadata.set("tokenizer.ggml.add_bos_token", { type: "bool", value: beginsWithBos });
  if (chatTemplate !== null) {
    metadata.set("tokenizer.chat_template", { type: "string", value: withoutGeneration(chatTemplate) });
  }
  return metadata;
}

/**
 * The tokenizer in the metadata of a GGUF file.
 *
 * @throws {UnsupportedError} when it is of a kind that is not known here.
 * @throws {CheckpointError} when its parts are missing or do not belong together.
 */
export function tokenizerFromMetadata(where: string, metadata: ReadonlyMap<string, GgufValue>): Tokenizer {
  const model = text(metadata, "tokenizer.ggml.model");
  const pre = text(metadata, "tokenizer.ggml.pre") ?? "gpt-2";
  const known = preTokenizers.find(([name]) => name === pre);
  if (model !== "gpt2" || known === undefined) {
    throw new UnsupportedError(
      `${where}: its tokenizer is ${model ?? "missing"} (${pre}); known are byte-level BPE of ${preTokenizers.map(([name]) => name).join(", ")}`,
    );
  }
  const tokens = texts(where, metadata, "tokenizer.ggml.tokens");
  const types = metadata.get("tokenizer.ggml.token_type");
  const typeOf = (id: number): number => (types?.type === "array" ? Number(types.values[id]) : tokenTypes.normal);
  const roles = rolesOf(tokens, metadata);
  const json = {
    added_tokens: tokens.flatMap((content, id) => {
      const type = typeOf(id);
      const special = type === tokenTypes.control || type === tokenTypes.unknown;
      return special || type === tokenTypes.userDefined ? [{ id, content, special, normalized: false }] : [];
    }),
    pre_tokenizer: preTokenizerJson(known[1]),
    post_processor: addsBos(metadata) ? beginningWith(roles.bos, tokens) : null,
    decoder: { type: "ByteLevel" },
    model: {
      type: "BPE",
      ignore_merges: pre === "llama-bpe",
      vocab: Object.fromEntries(tokens.flatMap((token, id) => (typeOf(id) === tokenTypes.normal ? [[token, id]] : []))),
      merges: texts(where, metadata, "tokenizer.ggml.merges").map(splitMerge),
    },
  };
  return tokenizerFromJson(where, json, roles);
}

/** The chat template in the metadata of a GGUF file, or null. */
export function chatTemplateFromMetadata(metadata: ReadonlyMap<string, GgufValue>): string | null {
  return text(metadata, "tokenizer.chat_template");
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

interface BpeJson extends TokenizerJson {
  readonly model: TokenizerJson["model"] & { readonly merges: readonly string[] };
}

function typesOf(tokenizer: Tokenizer, rows: number): Int32Array {
  const added = new Map(tokenizer.addedTokens.map((token) => [token.id, token]));
  return Int32Array.from({ length: rows }, (_, id) => {
    const token = added.get(id);
    if (token) return token.special ? tokenTypes.control : tokenTypes.userDefined;
    return tokenizer.tokenOf(id) === null ? tokenTypes.unused : tokenTypes.normal;
  });
}

/** Cutting by a pattern, and then only spelling bytes. */
interface Steps {
  readonly type?: string;
  readonly use_regex?: boolean;
  readonly add_prefix_space?: boolean;
  readonly pretokenizers?: readonly { readonly type: string; readonly pattern?: { readonly Regex?: string } }[];
}

function preTokenizerName(json: object | null): string {
  const { type, use_regex: useRegex = true, add_prefix_space: addsSpace, pretokenizers = [] } = { ...json } as Steps;
  if (type === "ByteLevel" && useRegex && addsSpace === false) return "gpt-2";
  const [split, bytes] = pretokenizers;
  const pattern = split?.type === "Split" && bytes?.type === "ByteLevel" ? split.pattern?.Regex : undefined;
  const known = preTokenizers.find(([, source]) => source === pattern && source !== null);
  if (known && pretokenizers.length === 2) return known[0];
  throw new UnsupportedError(
    `gguf: llama.cpp has no name for this way to cut text: ${JSON.stringify(json)}; known are those of ${preTokenizers.map(([name]) => name).join(", ")}`,
  );
}

function preTokenizerJson(pattern: string | null): object {
  if (pattern === null) return { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    type: "Sequence",
    pretokenizers: [
      { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false },
      { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  };
}

function addsBos(metadata: ReadonlyMap<string, GgufValue>): boolean {
  const value = metadata.get("tokenizer.ggml.add_bos_token");
  return value?.type === "bool" && value.value;
}

function beginningWith(bos: string | undefined, tokens: readonly string[]): object | null {
  if (bos === undefined) return null;
  const token = { SpecialToken: { id: bos, type_id: 0 } };
  const sequence = (id: "A" | "B"): object => ({ Sequence: { id, type_id: id === "A" ? 0 : 1 } });
  return {
    type: "TemplateProcessing",
    single: [token, sequence("A")],
    pair: [token, sequence("A"), token, sequence("B")],
    special_tokens: { [bos]: { id: bos, ids: [tokens.indexOf(bos)], tokens: [bos] } },
  };
}

function rolesOf(tokens: readonly string[], metadata: ReadonlyMap<string, GgufValue>): TokenRoles {
  return Object.fromEntries(
    roleKeys.flatMap(([role, key]) => {
      const value = metadata.get(key);
      const token = value?.type === "uint32" ? tokens[value.value] : undefined;
      return token === undefined ? [] : [[role, token]];
    }),
  ) as TokenRoles;
}

/** A merge's two tokens; a token may itself be, or begin with, a space in spellings other than GPT-2's. */
function splitMerge(merge: string): [string, string] {
  const space = merge.indexOf(" ", 1);
  return [merge.slice(0, space), merge.slice(space + 1)];
}

function strings(values: readonly string[]): GgufValue {
  return { type: "array", elementType: "string", values };
}

function text(metadata: ReadonlyMap<string, GgufValue>, key: string): string | null {
  const value = metadata.get(key);
  return value?.type === "string" ? value.value : null;
}

function texts(where: string, metadata: ReadonlyMap<string, GgufValue>, key: string): string[] {
  const value = metadata.get(key);
  if (value?.type === "array" && value.elementType === "string") return Array.from(value.values, String);
  throw new CheckpointError(`${where}: ${key} is missing or no list of texts; the file is damaged or incomplete`);
}
