import type { Json, JsonRecord } from "../files/json.ts";
import { isJsonObject } from "../files/json.ts";
import type { TextFiles } from "../files/text-files.ts";
import { readJsonOf } from "../files/text-files.ts";
import { addedTokensToJson, specialToken } from "./added-token.ts";
import type { TokenRoles } from "./tokenizer.ts";

/** Tokens by content, as `added_tokens` of `tokenizer.json` has them; the id is missing where no file says it. */
export type FolderTokens = ReadonlyMap<string, JsonRecord>;

/**
 * What files beside a `tokenizer.json` or a vocabulary add to it: `added_tokens_decoder` and the lists of further
 * special tokens in `tokenizer_config.json` and `special_tokens_map.json`, and the older `added_tokens.json`.
 */
export async function readFolderTokens(files: TextFiles, config: JsonRecord, map: JsonRecord): Promise<FolderTokens> {
  const tokens = new Map<string, JsonRecord>();
  for (const [content, id] of Object.entries((await readJsonOf(files, "added_tokens.json")) ?? {})) {
    tokens.set(content, { id, content, special: true, normalized: false });
  }
  const decoder = isJsonObject(config.added_tokens_decoder) ? config.added_tokens_decoder : {};
  for (const [id, token] of Object.entries(decoder)) {
    if (isJsonObject(token) && typeof token.content === "string")
      tokens.set(token.content, { ...token, id: Number(id) });
  }
  for (const content of [...furtherTokens(map), ...furtherTokens(config)]) {
    if (!tokens.has(content)) tokens.set(content, { content, special: true, normalized: false });
  }
  return tokens;
}

/** Special tokens without a role: a list under one of two names, of texts or of objects with a text. */
function furtherTokens(config: JsonRecord): string[] {
  const lists = [config.additional_special_tokens, config.extra_special_tokens].filter(Array.isArray);
  return lists.flat().flatMap((entry: unknown) => {
    const content = isJsonObject(entry) ? entry.content : entry;
    return typeof content === "string" && content !== "" ? [content] : [];
  });
}

/**
 * A `tokenizer.json` with what the files beside it say of it, as `transformers` reads such folders: tokens that it does
 * not have get the ids they are said to have, or the next; those that play a role are matched as a whole; and
 * `add_bos_token` or `add_eos_token` of `tokenizer_config.json` replaces what surrounds a text.
 */
export function completedJson(
  json: JsonRecord,
  tokens: FolderTokens,
  config: JsonRecord,
  roles: TokenRoles,
): JsonRecord {
  const { added_tokens: own = [], model } = json;
  const vocab = isJsonObject(model) ? idsByToken(model.vocab) : {};
  if (!Array.isArray(own) || !own.every(isJsonObject)) return json; // damaged, as its reader says better
  const ids = new Map<unknown, unknown>([
    ...Object.entries(vocab),
    ...own.map(({ content, id }) => [content, id] as const),
  ]);
  const taken = new Set(ids.values());
  const known = new Set(own.map(({ content }) => content));
  const isFree = (id: unknown): id is number => typeof id === "number" && !taken.has(id);
  const place = ({ id }: JsonRecord): number => (isFree(id) ? id : Number.MAX_SAFE_INTEGER);
  // Those whose id is free in the order of their ids, then the others.
  const inOrder = [...withRoles(tokens, roles, vocab)].sort(([, a], [, b]) => place(a) - place(b));
  const added = inOrder.flatMap(([content, token]) => {
    if (known.has(content)) return [];
    const id = ids.get(content) ?? (isFree(token.id) ? token.id : nextAfter(taken));
    ids.set(content, id);
    taken.add(id);
    return [{ ...token, id }];
  });
  return { ...json, added_tokens: [...own, ...added], ...processorOf(config, roles, ids) };
}

/** The vocabulary of a model; one that lists its tokens numbers them. */
function idsByToken(vocab: unknown): JsonRecord {
  if (!Array.isArray(vocab)) return isJsonObject(vocab) ? vocab : {};
  return Object.fromEntries(
    vocab.flatMap((entry: unknown, id) =>
      Array.isArray(entry) && typeof entry[0] === "string" ? [[entry[0], id]] : [],
    ),
  );
}

/** The tokens that files add, and those of the vocabulary that play a role. */
function withRoles(tokens: FolderTokens, roles: TokenRoles, vocab: JsonRecord): FolderTokens {
  const all = new Map(tokens);
  for (const content of Object.values(roles)) {
    const id = Object.hasOwn(vocab, content) ? vocab[content] : undefined;
    if (typeof id !== "number" || all.has(content)) continue;
    const [token] = addedTokensToJson([specialToken(content, id)]);
    all.set(content, { ...token });
  }
  return all;
}

function nextAfter(ids: ReadonlySet<unknown>): number {
  let next = 0;
  for (const id of ids) if (typeof id === "number" && id >= next) next = id + 1;
  return next;
}

/** What `add_bos_token` and `add_eos_token` put around a text; nothing where neither is said. */
function processorOf(
  { add_bos_token: begins, add_eos_token: ends }: JsonRecord,
  { bos, eos }: TokenRoles,
  ids: ReadonlyMap<unknown, unknown>,
): JsonRecord {
  if (typeof begins !== "boolean" && typeof ends !== "boolean") return {};
  const idOf = (token: string): number => ids.get(token) as number;
  const [first, last] = [
    begins === true && ids.has(bos) ? bos : undefined,
    ends === true && ids.has(eos) ? eos : undefined,
  ];
  return { post_processor: textProcessor(first, last, idOf) };
}

/**
 * The `post_processor` of a `tokenizer.json` that begins each text with one token and ends it with another, or null where
 * there is neither.
 */
export function textProcessor(
  begin: string | undefined,
  end: string | undefined,
  idOf: (token: string) => number,
): Json {
  const special =
    (type_id: number) =>
    (id: string): Json => ({ SpecialToken: { id, type_id } });
  const [first, last] = [begin, end].map((token) => (token === undefined ? [] : [token])) as [string[], string[]];
  if (first.length + last.length === 0) return null;
  const around = (id: "A" | "B", type_id: 0 | 1): Json[] => [
    ...first.map(special(type_id)),
    { Sequence: { id, type_id } },
    ...last.map(special(type_id)),
  ];
  return {
    type: "TemplateProcessing",
    single: around("A", 0),
    pair: [...around("A", 0), ...around("B", 1)],
    special_tokens: Object.fromEntries(
      [...first, ...last].map((id) => [id, { id, ids: [idOf(id)], tokens: [id] }] as const),
    ),
  };
}
