import { basename, dirname } from "node:path";
import { CheckpointError } from "../core/errors.ts";
import { folderTexts } from "../files/json-file.ts";
import { readTokenizer } from "./read-tokenizer.ts";
import { isSentencePieceFile } from "./sentence-piece-files.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * The tokenizer in a folder, as {@link readTokenizer} finds it.
 *
 * @param path - The folder, or a `tokenizer.json` or SentencePiece model itself.
 * @throws {CheckpointError} when there is none, or a file is damaged.
 * @throws {UnsupportedError} when it cuts text in a way that is not known here.
 */
export async function loadTokenizer(path: string): Promise<Tokenizer> {
  const isFile = path.endsWith(".json") || isSentencePieceFile(path);
  const reading = isFile ? readTokenizer(folderTexts(dirname(path)), basename(path)) : readTokenizer(folderTexts(path));
  const tokenizer = await reading;
  if (tokenizer) return tokenizer;
  const missing = isFile
    ? "there is no such file"
    : "has no tokenizer.json, nor a SentencePiece model, nor vocab.json with merges.txt, nor vocab.txt";
  throw new CheckpointError(`${path}: ${missing}; check the path of the tokenizer`);
}
