import { z } from "zod";
import { parseContents } from "../core/parse-contents.ts";
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

const Ids = z.union([z.int(), z.array(z.int())], { error: "must be an id or a list of ids" }).nullish();
const IdsInConfig = z.object({ bos_token_id: Ids, eos_token_id: Ids });
type IdsInConfig = z.output<typeof IdsInConfig>;

/** What a folder says that names no tokens. */
export const noFolderIds: FolderIds = { beginOfText: null, ends: [] };

/**
 * The ids in `generation_config.json` and `config.json`, where an end may be one number or a list. Ids that no token has
 * are left out.
 *
 * @throws {CheckpointError} when one of the files holds no JSON object, or something else where ids belong.
 */
export async function readFolderIds(files: TextFiles, tokenizer: Tokenizer): Promise<FolderIds> {
  const configs = [await idsIn(files, "generation_config.json"), await idsIn(files, "config.json")];
  const idsAt = (key: keyof IdsInConfig): number[] =>
    configs.flatMap((config) => [config[key] ?? []].flat()).filter((id) => tokenizer.tokenOf(id) !== null);
  return { beginOfText: idsAt("bos_token_id")[0] ?? null, ends: [...new Set(idsAt("eos_token_id"))] };
}

async function idsIn(files: TextFiles, name: string): Promise<IdsInConfig> {
  const config = (await readJsonOf(files, name)) ?? {};
  return parseContents(files.where(name), IdsInConfig, config, "correct the file, or remove the key");
}

/** The tokenizer of a folder whose config alone says which token ends a text, with that said. */
export function withFolderEnd(tokenizer: Tokenizer, { ends: [end] }: FolderIds): Tokenizer {
  const token = end === undefined ? null : tokenizer.tokenOf(end);
  return tokenizer.endOfText !== null || token === null
    ? tokenizer
    : tokenizer.withSpecialTokens([token], { eos: token });
}
