import { UnsupportedError } from "../core/errors.ts";
import type { JsonRecord } from "../files/json.ts";
import type { TextFiles } from "../files/text-files.ts";
import { readJsonOf } from "../files/text-files.ts";
import { addedTokensToJson, specialToken } from "./added-token.ts";
import { textProcessor } from "./folder-tokens.ts";
import { mergesOf, spacesJson } from "./score-merges.ts";
import type { SentencePieceModel } from "./sentence-piece-model.ts";
import { readSentencePieceModel } from "./sentence-piece-model.ts";
import type { TokenRoles } from "./tokenizer.ts";
import type { Layout, OlderTokenizer } from "./vocabulary-files.ts";

/** How a family numbers the pieces of a model, and what it puts around a text. */
type Family = (model: SentencePieceModel, config: JsonRecord) => Layout;

/** The names that SentencePiece models have in folders, and whose they are where no file says it. */
const fileNames: ReadonlyMap<string, Family> = new Map([
  ["spiece.model", t5Layout],
  ["sentencepiece.bpe.model", xlmRobertaLayout],
  ["tokenizer.model", llamaLayout],
]);

/** Families by the beginning of `tokenizer_class` or by `model_type`, without hyphens. The first that fits is taken. */
const families: readonly (readonly [name: RegExp, Family])[] = [
  [/^(u?m|long)?t5/i, t5Layout],
  [/^xlmroberta/i, xlmRobertaLayout],
  [/^(code)?(llama|[mp]istral|mixtral|ministral|gemma)|^phi3|^yi/i, llamaLayout],
];

/** Whether a file's name is that of a SentencePiece model. */
export function isSentencePieceFile(name: string): boolean {
  return /\.(model|spm)$/.test(name);
}

/**
 * Reads the SentencePiece model of a folder as the family that its configs name does: T5 with its sentinels, XLM-R with
 * fairseq's ids, Llama with `<s>` before a text. Null when there is none.
 *
 * @param file - The model's name; its pieces keep their numbers where the name is no family's. Left out: any that
 * families use.
 * @throws {CheckpointError} when the file is damaged.
 * @throws {UnsupportedError} when the family or the kind of model is not known here.
 */
export async function readSentencePieceFiles(
  files: TextFiles,
  config: JsonRecord,
  file?: string,
): Promise<OlderTokenizer | null> {
  for (const name of file === undefined ? fileNames.keys() : [file]) {
    const bytes = (await files.readBytes?.(name)) ?? null;
    if (bytes === null) continue;
    const where = files.where(name);
    const family = familyOf(where, name, config, (await readJsonOf(files, "config.json")) ?? {});
    return { where, ...family(readSentencePieceModel(bytes, where), config) };
  }
  return null;
}

function familyOf(where: string, name: string, config: JsonRecord, model: JsonRecord): Family {
  const own = fileNames.get(name);
  if (!own) return plainLayout;
  const called = [config.tokenizer_class, model.model_type].find((part) => typeof part === "string");
  if (typeof called !== "string" || /^(PreTrainedTokenizer|TokenizersBackend)/.test(called)) return own;
  const found = families.find(([pattern]) => pattern.test(called.replaceAll(/[-_]/g, "")));
  if (found) return found[1];
  if (own === llamaLayout) return own;
  throw new UnsupportedError(
    `${where}: how ${called} numbers the pieces of a SentencePiece model is not known here, that of T5, XLM-R and Llama is; ` +
      "open the folder with transformers and save its tokenizer as tokenizer.json",
  );
}

/** Pieces by their own numbers, nothing around a text. */
function plainLayout(model: SentencePieceModel): Layout {
  const { pieces, ids, fallsBackToBytes, kind } = model;
  const spaces = spacesJson(model.addsSpace, normalizersOf(model));
  const known = new Map(pieces.map(({ piece }, id) => [piece, id]));
  const normal = new Map([...known].filter(([, id]) => pieces[id]?.type === "normal"));
  const scores = pieces.map(({ score }) => score);
  const roles = rolesOf(model);
  const own =
    kind === "unigram"
      ? { type: "Unigram", unk_id: ids.unk, byte_fallback: fallsBackToBytes, vocab: scored(model) }
      : { type: "BPE", unk_token: roles.unk, fuse_unk: true, byte_fallback: true, vocab: Object.fromEntries(known) };
  const merges = kind === "bpe" ? { merges: mergesOf(normal, scores) } : {};
  return { json: { ...spaces, added_tokens: wholePieces(model), model: { ...own, ...merges } } as JsonRecord, roles };
}

/** As Llama 2: a text begins with `<s>`. */
function llamaLayout(model: SentencePieceModel): Layout {
  const { json, roles } = plainLayout(model);
  return { json: { ...json, post_processor: textProcessor(roles.bos, undefined, () => model.ids.bos ?? 0) }, roles };
}

/** As T5: sentinels behind the pieces, the last first, and `</s>` behind a text. */
function t5Layout(model: SentencePieceModel, config: JsonRecord): Layout {
  const { json } = plainLayout(model);
  const count = typeof config.extra_ids === "number" ? config.extra_ids : 100;
  const sentinels = Array.from({ length: count }, (_, i) => `<extra_id_${count - 1 - i}>`);
  const { pieces } = model;
  const added = sentinels.map((token, i) => specialToken(token, pieces.length + i));
  const roles = { pad: "<pad>", ...rolesOf(model) };
  const unigram = wordsOf(model, json, [...scored(model), ...sentinels.map((token) => [token, 0] as const)]);
  return {
    json: {
      ...unigram,
      added_tokens: [...wholePieces(model), ...addedTokensToJson(added)],
      post_processor: textProcessor(undefined, roles.eos, () => model.ids.eos ?? 0),
    } as JsonRecord,
    roles,
  };
}

/** As XLM-R: fairseq's four tokens come first, in an order of their own, and all other pieces move by one. */
function xlmRobertaLayout(model: SentencePieceModel): Layout {
  const { json } = plainLayout(model);
  const [cls, pad, sep, unk, mask] = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] as const;
  const vocab = [...[cls, pad, sep, unk].map((token) => [token, 0] as const), ...scored(model).slice(3)];
  const masks = { ...specialToken(mask, vocab.length), lstrip: true };
  const special = [...[cls, pad, sep, unk].map(specialToken), masks];
  const unigram = wordsOf(model, json, [...vocab, [mask, 0]], 3);
  return {
    json: {
      ...unigram,
      added_tokens: addedTokensToJson(special),
      post_processor: { type: "RobertaProcessing", cls: [cls, 0], sep: [sep, 2] },
    } as JsonRecord,
    roles: { bos: cls, eos: sep, cls, sep, unk, pad, mask },
  };
}

/** A unigram model that cuts words at white space, as T5 and XLM-R do with their maps of characters. */
function wordsOf(
  model: SentencePieceModel,
  json: JsonRecord,
  vocab: readonly (readonly [string, number])[],
  unk_id = model.ids.unk,
): object {
  const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true };
  return {
    normalizer: charsmapOf(model)[0] ?? null,
    pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "WhitespaceSplit" }, metaspace] },
    decoder: model.fallsBackToBytes ? json.decoder : metaspace,
    model: { type: "Unigram", unk_id, byte_fallback: model.fallsBackToBytes, vocab },
  };
}

function scored({ pieces }: SentencePieceModel): (readonly [string, number])[] {
  return pieces.map(({ piece, score }) => [piece, score]);
}

function rolesOf({ pieces, ids }: SentencePieceModel): TokenRoles {
  return Object.fromEntries(
    Object.entries(ids).flatMap(([role, id]) => (id === null ? [] : [[role, pieces[id]?.piece]])),
  ) as TokenRoles;
}

/** Pieces that are matched as a whole: control tokens in text as given, those of users in normalized text. */
function wholePieces({ pieces, addsSpace }: SentencePieceModel): object[] {
  return addedTokensToJson(
    pieces.flatMap(({ piece, type }, id) => {
      if (type === "control") return [specialToken(piece, id)];
      // Where a space is put before texts, one would be put before the token too.
      return type === "user-defined" ? [{ ...specialToken(piece, id), special: false, normalized: !addsSpace }] : [];
    }),
  );
}

function normalizersOf(model: SentencePieceModel): object[] {
  const replace = (Regex: string, content: string): object => ({ type: "Replace", pattern: { Regex }, content });
  const spaces = model.removesExtraSpaces ? [replace(" {2,}", " "), replace("\\A | \\z", "")] : [];
  return [...charsmapOf(model), ...spaces];
}

function charsmapOf({ charsmap }: SentencePieceModel): object[] {
  if (charsmap.length === 0) return [];
  const binary = Array.from(charsmap, (byte) => String.fromCharCode(byte)).join("");
  return [{ type: "Precompiled", precompiled_charsmap: btoa(binary) }];
}
