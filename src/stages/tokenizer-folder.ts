import { join } from "node:path";
import { readJsonObject } from "../checkpoint/json-file.ts";
import { UnsupportedError } from "../core/errors.ts";
import type { AddedToken } from "../text/added-token.ts";
import { ByteLevelBpe } from "../text/byte-level-bpe.ts";
import type { Tokenizer, TokenRoles } from "../text/tokenizer.ts";

interface AddedTokenJson {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

/** The tokenizer of a model folder. */
export async function readTokenizer(folder: string): Promise<Tokenizer> {
  const path = join(folder, "tokenizer.json");
  const json = await readJsonObject(path);
  const model = json.model as { type: string; vocab: Record<string, number>; merges: (string | [string, string])[] };
  if (model.type !== "BPE")
    throw new UnsupportedError(`${path}: is a ${model.type} tokenizer, byte-level BPE is needed`);
  const config = await readJsonObject(join(folder, "tokenizer_config.json")).catch(() => ({}));
  const added = (json.added_tokens ?? []) as unknown as AddedTokenJson[];
  return new ByteLevelBpe({
    vocabulary: new Map(Object.entries(model.vocab)),
    merges: model.merges.map((pair) => (typeof pair === "string" ? (pair.split(" ") as [string, string]) : pair)),
    addedTokens: added.map(({ single_word, ...token }): AddedToken => ({ ...token, singleWord: single_word })),
    roles: rolesOf(config as Readonly<Record<string, unknown>>),
  });
}

/** The files of a tokenizer in a model folder. */
export function tokenizerFiles(tokenizer: Tokenizer): Record<string, string> {
  const roles = Object.fromEntries(Object.entries(tokenizer.roles).map(([role, token]) => [`${role}_token`, token]));
  return {
    "tokenizer.json": `${JSON.stringify(tokenizer.toJson(), null, 2)}\n`,
    "tokenizer_config.json": `${JSON.stringify({ ...roles, tokenizer_class: "GPT2Tokenizer" }, null, 2)}\n`,
  };
}

function rolesOf(config: Readonly<Record<string, unknown>>): TokenRoles {
  const entries = ["bos", "eos", "unk", "pad"].flatMap((role) => {
    const token = config[`${role}_token`];
    return typeof token === "string" ? [[role, token]] : [];
  });
  return Object.fromEntries(entries) as TokenRoles;
}
