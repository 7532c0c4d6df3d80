import { z } from "zod";
import { CheckpointError, UnsupportedError } from "../core/errors.ts";
import { parseContents } from "../core/parse-contents.ts";
import type { JsonRecord } from "../files/json.ts";
import { describe, isJsonObject } from "../files/json.ts";
import type { AddedToken } from "./added-token.ts";
import type { ScoredMerges } from "./score-merges.ts";
import type { TokenRoles } from "./tokenizer.ts";

/** One stage of a tokenizer in `tokenizer.json`: a normalizer, pre-tokenizer, post-processor or decoder. */
export type Component = Readonly<{ type: string } & Record<string, unknown>>;

/** The contents of a `tokenizer.json`, checked as far as all kinds of tokenizers have them in common. */
export interface TokenizerParts {
  /** What messages call the file. */
  readonly where: string;
  readonly addedTokens: readonly AddedToken[];
  readonly normalizer: Component | null;
  readonly preTokenizer: Component | null;
  readonly postProcessor: Component | null;
  readonly decoder: Component | null;
  readonly model: ModelPart;
  /** What tokens are for, which `tokenizer_config.json` says. */
  readonly roles: TokenRoles;
}

/** The `model` of a `tokenizer.json`. */
export interface ModelPart {
  readonly type: string;
  readonly vocabulary: ReadonlyMap<string, number>;
  /** Tokens of a unigram model by id, with their log-probabilities in nats; empty for other models. */
  readonly pieces: readonly (readonly [piece: string, score: number])[];
  /** Pairs of tokens in the order in which they merge; empty where the model has none. */
  readonly merges: readonly (readonly [left: string, right: string])[];
  /** What merges instead, where tokens merge by their scores. */
  readonly scoredMerges?: ScoredMerges;
  /** All fields as they are in the file. */
  readonly fields: JsonRecord;
}

const ComponentSchema = z.looseObject({ type: z.string() });

const AddedTokenSchema = z
  .object({
    id: z.int().nonnegative(),
    content: z.string(),
    single_word: z.boolean().default(false),
    lstrip: z.boolean().default(false),
    rstrip: z.boolean().default(false),
    normalized: z.boolean().optional(),
    special: z.boolean().default(false),
  })
  .transform(
    ({ single_word, normalized, ...rest }): AddedToken => ({
      ...rest,
      singleWord: single_word,
      normalized: normalized ?? !rest.special,
    }),
  );

const component = ComponentSchema.nullish().transform((value) => value ?? null);

const FileSchema = z.object({
  added_tokens: z
    .array(AddedTokenSchema)
    .nullish()
    .transform((tokens) => tokens ?? []),
  normalizer: component,
  pre_tokenizer: component,
  post_processor: component,
  decoder: component,
});

/**
 * Checks what `tokenizer.json` holds.
 *
 * @param model - The part of that name, where it is of another file.
 * @throws {CheckpointError} naming `where` and the first thing that is not as the format has it.
 */
export function readTokenizerParts(
  where: string,
  json: JsonRecord,
  roles: TokenRoles = {},
  model: ModelPart = readModel(where, json.model),
): TokenizerParts {
  const file = parseContents(where, FileSchema, json);
  return {
    where,
    roles,
    addedTokens: file.added_tokens,
    normalizer: file.normalizer,
    preTokenizer: file.pre_tokenizer,
    postProcessor: file.post_processor,
    decoder: file.decoder,
    model,
  };
}

/** A part of a tokenizer that is not supported: better no tokenizer than one with other ids. */
export function unsupportedPart(where: string, what: string, part: unknown): UnsupportedError {
  const text = JSON.stringify(part) ?? "nothing";
  const shown = text.length > 160 ? `${text.slice(0, 160)}…` : text;
  return new UnsupportedError(
    `${where}: the ${what} ${shown} is not supported; byte-level BPE, GPT-1's BPE, SentencePiece's BPE and Unigram, WordPiece and characters are`,
  );
}

/** The parts of a `Sequence` component one by one, or the component itself. */
export function flatten(where: string, part: Component | null, list: string): Component[] {
  if (part === null) return [];
  if (part.type !== "Sequence") return [part];
  return parseContents(`${where}: ${list}`, z.array(ComponentSchema), part[list]).flatMap((inner) =>
    flatten(where, inner, list),
  );
}

/** A unigram model lists its tokens, each with its log-probability; the others map them to ids. */
const PieceListSchema = z.array(z.tuple([z.string(), z.number()]));

/** Types of models whose tokens have ids of their own. */
const mappedTypes: ReadonlySet<string> = new Set(["BPE", "WordPiece"]);

function readModel(where: string, model: unknown): ModelPart {
  if (!isJsonObject(model))
    throw new CheckpointError(`${where}: has no model, so it is no tokenizer.json; fetch or write it again`);
  const type = typeof model.type === "string" ? model.type : null;
  if (Array.isArray(model.vocab) && !mappedTypes.has(type ?? "")) {
    const pieces = parseContents(`${where}: model.vocab`, PieceListSchema, model.vocab);
    return {
      type: type ?? "Unigram",
      vocabulary: new Map(pieces.map(([piece], id) => [piece, id])),
      pieces,
      merges: [],
      fields: model,
    };
  }
  if (!isJsonObject(model.vocab)) {
    throw new CheckpointError(
      `${where}: model.vocab is ${found(model.vocab)}, an object of tokens and ids is expected; the file is damaged, fetch or write it again`,
    );
  }
  if (type === "BPE" && !Array.isArray(model.merges)) throw noMerges(where, model.merges);
  // Old files do not name the type; only BPE has merges.
  return {
    type: type ?? (Array.isArray(model.merges) ? "BPE" : "WordPiece"),
    vocabulary: new Map(Object.entries(model.vocab)) as Map<string, number>,
    pieces: [],
    merges: readMerges(where, model.merges ?? []),
    fields: model,
  };
}

/** Without its merges, a byte-pair encoding would cut every text into other tokens than those that a model knows. */
function noMerges(where: string, merges: unknown): CheckpointError {
  return new CheckpointError(
    `${where}: model.merges is ${found(merges)}, a list of pairs is expected; the file is damaged, fetch or write it again`,
  );
}

function found(value: unknown): string {
  return value === undefined ? "missing" : describe(value);
}

function readMerges(where: string, merges: unknown): [string, string][] {
  if (!Array.isArray(merges)) throw noMerges(where, merges);
  return merges.map((merge: unknown, i) => {
    const pair = typeof merge === "string" ? splitMerge(merge) : merge;
    if (isPair(pair)) return pair;
    throw new CheckpointError(
      `${where}: model.merges[${i}] is ${JSON.stringify(merge)}, a pair of tokens is expected; the file is damaged, fetch or write it again`,
    );
  });
}

/** The two tokens of `"left right"`, or null. There are hundreds of thousands of them, so no list is made of the parts. */
function splitMerge(merge: string): [string, string] | null {
  const space = merge.indexOf(" ");
  return space < 0 || merge.indexOf(" ", space + 1) >= 0 ? null : [merge.slice(0, space), merge.slice(space + 1)];
}

function isPair(value: unknown): value is [string, string] {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [left, right]: unknown[] = value;
  return typeof left === "string" && typeof right === "string" && left !== "" && right !== "";
}
