import { CheckpointError, UnsupportedError } from "../core/errors.ts";
import type { JsonRecord } from "../files/json.ts";
import { parseJsonObject } from "../files/json.ts";
import type { TextFiles } from "../files/text-files.ts";
import { textProcessor } from "./folder-tokens.ts";
import { readSentencePieceFiles } from "./sentence-piece-files.ts";
import type { OlderTokenizer } from "./vocabulary-files.ts";

/** What Marian's tokenizer is in a folder. */
export interface MarianFiles extends OlderTokenizer {
  readonly source: OlderTokenizer;
  readonly target: OlderTokenizer;
  /** The files as they are. */
  readonly files: Readonly<Record<string, string | Uint8Array>>;
}

/**
 * Reads `source.spm`, `target.spm` and `vocab.json` of Marian's folders. Null when there is no `source.spm`.
 *
 * @throws {CheckpointError} when one of the others is missing, or one is damaged.
 * @throws {UnsupportedError} when either language has a vocabulary of its own.
 */
export async function readMarianFiles(files: TextFiles, config: JsonRecord): Promise<MarianFiles | null> {
  const source = await files.readBytes?.("source.spm");
  if (!source) return null;
  const where = files.where("vocab.json");
  const target = (await files.readBytes?.("target.spm")) ?? missing(files, "target.spm");
  const vocab = (await files.read("vocab.json")) ?? missing(files, "vocab.json");
  if (config.separate_vocabs === true) {
    throw new UnsupportedError(
      `${files.where("tokenizer_config.json")}: separate_vocabs is true; models with one vocabulary of both languages are read, take one of them`,
    );
  }
  const ids = parseJsonObject(where, vocab);
  const roles = { unk: "<unk>", eos: "</s>", pad: "<pad>" };
  const open = async (name: string): Promise<OlderTokenizer> =>
    (await readSentencePieceFiles(files, {}, name)) ?? missing(files, name);
  return {
    where,
    json: {
      model: { type: "SentencePiecePair", vocab: ids },
      post_processor: "</s>" in ids ? textProcessor(undefined, roles.eos, () => Number(ids[roles.eos])) : null,
    },
    roles,
    source: await open("source.spm"),
    target: await open("target.spm"),
    files: { "source.spm": source, "target.spm": target, "vocab.json": vocab },
  };
}

function missing(files: TextFiles, name: string): never {
  throw new CheckpointError(`${files.where(name)}: is missing; source.spm needs it, fetch it as well`);
}
