import { dirname, join } from "node:path";
import { CheckpointError } from "../core/errors.ts";
import type { JsonRecord } from "../files/json.ts";
import { readJsonIfThere } from "../files/json-file.ts";
import { byteLevelBpeFromJson, isByteLevelBpe } from "./byte-level-json.ts";
import { charactersFromJson, isCharacters } from "./characters.ts";
import { gpt1BpeFromJson, isGpt1Bpe } from "./gpt1-bpe.ts";
import { isSentencePieceBpe, sentencePieceBpeFromJson } from "./sentence-piece-json.ts";
import { rolesFromConfig } from "./token-roles.ts";
import type { Tokenizer, TokenRoles } from "./tokenizer.ts";
import type { TokenizerParts } from "./tokenizer-parts.ts";
import { readTokenizerParts, unsupportedPart } from "./tokenizer-parts.ts";
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
  { fits: isCharacters, read: charactersFromJson },
];

/**
 * The tokenizer in a folder, of anyone's making: `tokenizer.json`, or the older `vocab.json` with `merges.txt` (GPT-2,
 * GPT-1) or `vocab.txt` (BERT). What tokens are for is read from `tokenizer_config.json` and `special_tokens_map.json`.
 *
 * @param path - The folder, or a `tokenizer.json` itself.
 * @throws {CheckpointError} when there is none, or a file is damaged.
 * @throws {UnsupportedError} when it cuts text in a way that is not known here.
 */
export async function loadTokenizer(path: string): Promise<Tokenizer> {
  const isFile = path.endsWith(".json");
  const [folder, file] = isFile ? [dirname(path), path] : [path, join(path, "tokenizer.json")];
  const config = (await readJsonIfThere(join(folder, "tokenizer_config.json"))) ?? {};
  const map = (await readJsonIfThere(join(folder, "special_tokens_map.json"))) ?? {};
  const roles = { ...rolesFromConfig(map), ...rolesFromConfig(config) };
  const json = await readJsonIfThere(file);
  if (json !== null) return tokenizerFromJson(file, json, roles);
  const older = isFile ? null : await readVocabularyFiles(folder, config, roles);
  if (older !== null) return tokenizerFromJson(older.where, older.json, older.roles);
  const missing = isFile
    ? "there is no such file"
    : "has no tokenizer.json, nor vocab.json with merges.txt, nor vocab.txt";
  throw new CheckpointError(`${path}: ${missing}; check the path of the tokenizer`);
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
  const parts = readTokenizerParts(where, json, roles);
  const reader = readers.find(({ fits }) => fits(parts));
  if (!reader) throw unsupportedPart(where, "model of type", parts.model.type);
  return reader.read(parts);
}
