import type { JsonRecord } from "../files/json.ts";
import type { TextFiles } from "../files/text-files.ts";
import { readJsonOf } from "../files/text-files.ts";
import { byteLevelBpeFromJson, isByteLevelBpe } from "./byte-level-json.ts";
import { charactersFromJson, isCharacters } from "./characters.ts";
import { completedJson, readFolderTokens } from "./folder-tokens.ts";
import { gpt1BpeFromJson, isGpt1Bpe } from "./gpt1-bpe.ts";
import type { MarianFiles } from "./marian-files.ts";
import { readMarianFiles } from "./marian-files.ts";
import { MarianTokenizer } from "./marian-tokenizer.ts";
import { isSentencePieceFile, readSentencePieceFiles } from "./sentence-piece-files.ts";
import { isSentencePieceBpe, sentencePieceBpeFromJson } from "./sentence-piece-json.ts";
import { readTemplate } from "./sequence-template-json.ts";
import { rolesFromConfig } from "./token-roles.ts";
import type { Tokenizer, TokenRoles } from "./tokenizer.ts";
import type { TokenizerParts } from "./tokenizer-parts.ts";
import { readTokenizerParts, unsupportedPart } from "./tokenizer-parts.ts";
import { isUnigram, unigramFromJson } from "./unigram-json.ts";
import { readVocabularyFiles } from "./vocabulary-files.ts";
import { isWordPiece, wordPieceFromJson } from "./word-piece.ts";

/** Which kind a `tokenizer.json` is, and how it is read. The first that fits is taken. */
const readers: readonly {
  readonly fits: (parts: TokenizerParts) => boolean;
  readonly read: (parts: TokenizerParts) => Tokenizer;
}[] = [
  { fits: isByteLevelBpe, read: byteLevelBpeFromJson },
  { fits: isGpt1Bpe, read: gpt1BpeFromJson },
  { fits: isWordPiece, read: wordPieceFromJson },
  { fits: isSentencePieceBpe, read: sentencePieceBpeFromJson },
  { fits: isUnigram, read: unigramFromJson },
  { fits: isCharacters, read: charactersFromJson },
];

/**
 * The tokenizer among files of anyone's making: `tokenizer.json`, SentencePiece's `spiece.model`, `tokenizer.model` or
 * `sentencepiece.bpe.model` (T5, Llama 2, XLM-R), Marian's `source.spm` and `target.spm`
 * with `vocab.json`, or the older `vocab.json` with `merges.txt` (GPT-2, GPT-1) or
 * `vocab.txt` (BERT). What tokens are for, and tokens that only they name, is read from
 * `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json`. Null where there is none.
 *
 * @param file - Another name for `tokenizer.json`, or a SentencePiece model (`.model`, `.spm`); others are then not
 * looked for.
 * @throws {CheckpointError} when a file is damaged.
 * @throws {UnsupportedError} when it cuts text in a way that is not known here.
 */
export async function readTokenizer(files: TextFiles, file?: string): Promise<Tokenizer | null> {
  const config = (await readJsonOf(files, "tokenizer_config.json")) ?? {};
  const map = (await readJsonOf(files, "special_tokens_map.json")) ?? {};
  const roles = { ...rolesFromConfig(map), ...rolesFromConfig(config) };
  const tokens = await readFolderTokens(files, config, map);
  const name = file ?? "tokenizer.json";
  const isModel = isSentencePieceFile(name);
  const json = isModel ? null : await readJsonOf(files, name);
  if (json !== null) return tokenizerFromJson(files.where(name), completedJson(json, tokens, config, roles), roles);
  if (file !== undefined && !isModel) return null;
  const marian = file === undefined ? await readMarianFiles(files, config) : null;
  if (marian) {
    const all = { ...marian.roles, ...roles };
    return marianTokenizer({ ...marian, json: completedJson(marian.json, tokens, config, all), roles: all });
  }
  const older =
    (await readSentencePieceFiles(files, config, file)) ?? (isModel ? null : await readVocabularyFiles(files, config));
  if (older === null) return null;
  const all = { ...older.roles, ...roles };
  return tokenizerFromJson(older.where, completedJson(older.json, tokens, config, all), all);
}

/**
 * The tokenizer that the contents of a `tokenizer.json` describe.
 *
 * @param where - What messages call it.
 * @param roles - What its tokens are for; `tokenizer.json` does not say.
 * @throws {CheckpointError} when it is damaged.
 * @throws {UnsupportedError} when it cuts text in a way that is not known here.
 */
export function tokenizerFromJson(where: string, json: JsonRecord, roles: TokenRoles = {}): Tokenizer {
  return tokenizerOf(readTokenizerParts(where, json, roles));
}

/**
 * The tokenizer that consists of parts.
 *
 * @throws {CheckpointError} when they do not belong together.
 * @throws {UnsupportedError} when it cuts text in a way that is not known here.
 */
export function tokenizerOf(parts: TokenizerParts): Tokenizer {
  const reader = readers.find(({ fits }) => fits(parts));
  if (!reader) throw unsupportedPart(parts.where, "model of type", parts.model.type);
  return reader.read(parts);
}

function marianTokenizer({ where, json, roles, source, target, files }: MarianFiles): Tokenizer {
  const { addedTokens, model, postProcessor } = readTokenizerParts(where, json, roles);
  return new MarianTokenizer(
    {
      vocabulary: model.vocabulary,
      addedTokens,
      roles,
      template: readTemplate(where, postProcessor),
      source: tokenizerFromJson(source.where, source.json, source.roles),
      target: tokenizerFromJson(target.where, target.json, target.roles),
      files,
    },
    where,
  );
}
