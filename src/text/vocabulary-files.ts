import { CheckpointError } from "../core/errors.ts";
import type { JsonRecord } from "../files/json.ts";
import type { TextFiles } from "../files/text-files.ts";
import { readJsonOf } from "../files/text-files.ts";
import { endOfWord } from "./gpt1-bpe.ts";
import type { TokenRoles } from "./tokenizer.ts";

/** What older files say, put as a `tokenizer.json` would put it. */
export interface Layout {
  readonly json: JsonRecord;
  /** What tokens are for where no file says it. */
  readonly roles: TokenRoles;
}

/** A tokenizer of older files. */
export interface OlderTokenizer extends Layout {
  /** What messages call the file. */
  readonly where: string;
}

/**
 * Reads the files that came before `tokenizer.json`: `vocab.json` with `merges.txt`, or `vocab.txt`. Null when there are
 * none.
 *
 * @throws {CheckpointError} when one is damaged or lacks its companion.
 */
export async function readVocabularyFiles(files: TextFiles, config: JsonRecord): Promise<OlderTokenizer | null> {
  const vocab = await readJsonOf(files, "vocab.json");
  if (vocab !== null) {
    const merges = await readMerges(files);
    const isGpt1 = merges.some(([, right]) => right.endsWith(endOfWord));
    const layout = isGpt1 ? gpt1Layout(vocab, merges) : gpt2Layout(vocab, merges, config);
    return { where: files.where("vocab.json"), ...layout };
  }
  const listPath = files.where("vocab.txt");
  const list = await files.read("vocab.txt");
  if (list === null) return null;
  const tokens = list.replace(/\r?\n$/, "").split(/\r?\n/);
  const ids = Object.fromEntries(tokens.map((token, id) => [token, id]));
  if (Object.keys(ids).length !== tokens.length) {
    const repeated = tokens.find((token, id) => ids[token] !== id);
    throw new CheckpointError(`${listPath}: has the token ${JSON.stringify(repeated)} twice; the file is damaged`);
  }
  return { where: listPath, ...bertLayout(ids, config) };
}

function gpt2Layout(vocab: JsonRecord, merges: unknown, config: JsonRecord): Layout {
  const end = "<|endoftext|>";
  const byteLevel = { type: "ByteLevel", add_prefix_space: config.add_prefix_space === true };
  return {
    json: { pre_tokenizer: byteLevel, decoder: byteLevel, model: { type: "BPE", vocab, merges } },
    roles: { bos: end, eos: end, unk: end },
  };
}

function gpt1Layout(vocab: JsonRecord, merges: unknown): Layout {
  const unk = "<unk>";
  return {
    json: {
      normalizer: bertNormalizer({}),
      pre_tokenizer: { type: "BertPreTokenizer" },
      decoder: { type: "BPEDecoder", suffix: endOfWord },
      model: { type: "BPE", unk_token: unk, end_of_word_suffix: endOfWord, vocab, merges },
    },
    roles: { unk },
  };
}

function bertLayout(vocab: JsonRecord, config: JsonRecord): Layout {
  const roles = { unk: "[UNK]", cls: "[CLS]", sep: "[SEP]", pad: "[PAD]", mask: "[MASK]" };
  const pair = (token: string): [string, unknown] => [token, vocab[token]];
  const isFramed = roles.cls in vocab && roles.sep in vocab;
  return {
    json: {
      normalizer: bertNormalizer(config),
      pre_tokenizer: { type: "BertPreTokenizer" },
      post_processor: isFramed ? { type: "BertProcessing", cls: pair(roles.cls), sep: pair(roles.sep) } : null,
      decoder: { type: "WordPiece", prefix: "##", cleanup: true },
      model: { type: "WordPiece", unk_token: roles.unk, continuing_subword_prefix: "##", vocab },
    },
    roles,
  };
}

function bertNormalizer(config: JsonRecord): object {
  return {
    type: "BertNormalizer",
    clean_text: true,
    handle_chinese_chars: config.tokenize_chinese_chars !== false,
    strip_accents: typeof config.strip_accents === "boolean" ? config.strip_accents : null,
    lowercase: config.do_lower_case !== false,
  };
}

async function readMerges(files: TextFiles): Promise<[string, string][]> {
  const path = files.where("merges.txt");
  const text = await files.read("merges.txt");
  if (text === null) throw new CheckpointError(`${path}: is missing; vocab.json needs it, fetch it as well`);
  const lines = text.split(/\r?\n/);
  return lines.flatMap((line, i): [string, string][] => {
    if (line === "" || (i === 0 && line.startsWith("#version"))) return [];
    const [left, right, ...rest] = line.split(" ");
    if (!left || !right || rest.length > 0) {
      throw new CheckpointError(
        `${path}: line ${i + 1} is ${JSON.stringify(line)}, two tokens are expected; it is damaged`,
      );
    }
    return [[left, right]];
  });
}
