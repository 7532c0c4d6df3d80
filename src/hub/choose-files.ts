import { NetworkError, UnsupportedError } from "../core/errors.ts";
import { isGgufPath } from "../files/gguf-path.ts";
import type { HubReference } from "./hub-reference.ts";
import type { HubFile, Repository } from "./list-repository.ts";

/** What is wanted of a repository: all that a model is, or only what turns text into tokens. */
export type ModelPart = "model" | "tokenizer";

/** Files that say what a model is and how text becomes tokens, also of its adapters and poolings. */
const small =
  /^((generation_|tokenizer_|adapter_|sentence_bert_|preprocessor_)?config\.json|config_sentence_transformers\.json|modules\.json|\d+_[A-Za-z]+\/config\.json|tokenizer\.(json|model)|(spiece|sentencepiece\.bpe)\.model|(source|target)\.spm|vocab\.(json|txt)|merges\.txt|(special_tokens_map|added_tokens)\.json|chat_template\.(jinja|json)|(additional_)?chat_templates\/[\w-]+\.jinja)$/;
const single = /^model\.safetensors$/;
const sharded = /^model(-\d+-of-\d+\.safetensors|\.safetensors\.index\.json)$/;
const beside = /^(adapter_model|\d+_[A-Za-z]+\/model)\.safetensors$/;
const pickle = /\.(bin|pt|pth|ckpt|pkl|pickle)$/i;

/**
 * The files to fetch: what describes a model, and its weights as safetensors; a GGUF file where it is asked for, or is
 * all there is. Files that run code as they are read never are.
 *
 * @throws {NetworkError} when the file that is asked for is not there.
 * @throws {UnsupportedError} when there are no weights that can be read, or several to choose from.
 */
export function chooseFiles(
  { name, files }: Repository,
  { revision, file }: HubReference,
  part: ModelPart = "model",
): readonly HubFile[] {
  const at = revision === "main" ? name : `${name}@${revision}`;
  if (file !== null) return [namedFile(at, files, file)];
  const description = files.filter(({ path }) => small.test(path));
  if (part === "tokenizer" && description.length > 0) return description;
  const one = files.filter(({ path }) => single.test(path));
  const weights = one.length > 0 ? one : files.filter(({ path }) => sharded.test(path));
  const more = files.filter(({ path }) => beside.test(path));
  if (weights.length > 0 || more.length > 0) return [...description, ...weights, ...more];
  return [onlyGguf(at, files)];
}

function namedFile(at: string, files: readonly HubFile[], path: string): HubFile {
  if (pickle.test(path)) throw pickles(at, path);
  const file = files.find((candidate) => candidate.path === path);
  if (file !== undefined) return file;
  const others = some(files.filter((candidate) => candidate.path.endsWith(path.replace(/^.*\./, "."))));
  throw new NetworkError(
    `${at}: there is no file ${path}; ${others === "" ? "check its name" : `there are ${others}`}`,
  );
}

function onlyGguf(at: string, files: readonly HubFile[]): HubFile {
  const ggufs = files.filter(({ path }) => isGgufPath(path));
  const [first] = ggufs;
  if (first !== undefined && ggufs.length === 1) return first;
  if (first !== undefined) {
    throw new UnsupportedError(`${at}: has several GGUF files; name one, such as ${at}:${first.path}: ${some(ggufs)}`);
  }
  const dangerous = files.find(({ path }) => pickle.test(path));
  if (dangerous !== undefined) throw pickles(at, dangerous.path);
  const safetensors = files.filter(({ path }) => path.endsWith(".safetensors"));
  const there = safetensors.length > 0 ? `only ${some(safetensors)}` : "no weights";
  throw new UnsupportedError(
    `${at}: has no model.safetensors and no GGUF file, ${there}; choose a repository of a language model`,
  );
}

function pickles(at: string, path: string): UnsupportedError {
  return new UnsupportedError(
    `${at}: ${path} is a pickle, which runs code as it is read, and is never fetched; choose a repository or revision with safetensors (the hub's converter offers them as ${at.replace(/@.*$/, "")}@refs/pr/1)`,
  );
}

function some(files: readonly HubFile[]): string {
  const names = files.slice(0, 12).map(({ path }) => path);
  return `${names.join(", ")}${files.length > names.length ? " …" : ""}`;
}
