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
  const vocab = isJsonObject(model) && isJsonObject(model.vocab) ? model.vocab : {};
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
  const around = surroundings(config, roles, ids);
  return { ...json, added_tokens: [...own, ...added], ...(around !== null && { post_processor: around.processor }) };
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

/** What `add_bos_token` and `add_eos_token` put around a text; null where neither is said. */
function surroundings(
  { add_bos_token: begins, add_eos_token: ends }: JsonRecord,
  { bos, eos }: TokenRoles,
  ids: ReadonlyMap<unknown, unknown>,
): { readonly processor: Json } | null {
  if (typeof begins !== "boolean" && typeof ends !== "boolean") return null;
  const has = (token: string | undefined): token is string => token !== undefined && ids.has(token);
  const [first, last] = [begins === true && has(bos) ? [bos] : [], ends === true && has(eos) ? [eos] : []];
  const used = [...first, ...last];
  if (used.length === 0) return { processor: null };
  const around = (sequence: "A" | "B", type_id: 0 | 1): Json[] => [
    ...first.map((id) => ({ SpecialToken: { id, type_id } })),
    { Sequence: { id: sequence, type_id } },
    ...last.map((id) => ({ SpecialToken: { id, type_id } })),
  ];
  const special = used.map((id) => [id, { id, ids: [ids.get(id) as number], tokens: [id] }] as const);
  return {
    processor: {
      type: "TemplateProcessing",
      single: around("A", 0),
      pair: [...around("A", 0), ...around("B", 1)],
      special_tokens: Object.fromEntries(special),
    },
  };
}
