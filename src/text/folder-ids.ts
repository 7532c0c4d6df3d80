import type { JsonRecord } from "../files/json.ts";
import type { TextFiles } from "../files/text-files.ts";
import { readJsonOf } from "../files/text-files.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Ids of tokens that a model's folder names beside what its tokenizer says. */
export interface FolderIds {
  /** The token that begins a text, or null. */
  readonly beginOfText: number | null;
  /** Tokens that end a text or a turn: generation stops at any of them. */
  readonly ends: readonly number[];
}

/** What a folder says that names no tokens. */
export const noFolderIds: FolderIds = { beginOfText: null, ends: [] };

/**
 * The ids in `generation_config.json` and `config.json`, where an end may be one number or a list. Ids that no token has
 * are left out.
 *
 * @throws {CheckpointError} when one of the files holds no JSON object.
 */
export async function readFolderIds(files: TextFiles, tokenizer: Tokenizer): Promise<FolderIds> {
  const configs = [await readJsonOf(files, "generation_config.json"), await readJsonOf(files, "config.json")];
  const idsAt = (key: string): number[] => configs.flatMap((config) => tokenIds(config?.[key], tokenizer));
  return { beginOfText: idsAt("bos_token_id")[0] ?? null, ends: [...new Set(idsAt("eos_token_id"))] };
}

function tokenIds(value: JsonRecord[string], tokenizer: Tokenizer): number[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.filter((id): id is number => typeof id === "number" && tokenizer.tokenOf(id) !== null);
}

/** The tokenizer of a folder whose config alone says which token ends a text, with that said. */
export function withFolderEnd(tokenizer: Tokenizer, { ends: [end] }: FolderIds): Tokenizer {
  const token = end === undefined ? null : tokenizer.tokenOf(end);
  return tokenizer.endOfText !== null || token === null
    ? tokenizer
    : tokenizer.withSpecialTokens([token], { eos: token });
}
