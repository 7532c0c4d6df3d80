import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError } from "../core/errors.ts";
import { wholeFloatKeys } from "../files/json.ts";
import type { ModelContents, ModelFolder } from "./model-folder.ts";
import { openModelFolder, writeModelFolder } from "./model-folder.ts";
import type { FloatDtype, TensorSource, WritableDtype, WritableTensor } from "./tensor-source.ts";

/** How a model folder is written anew. */
export interface ConvertOptions extends Pick<ModelContents, "maxShardBytes"> {
  readonly dtype: FloatDtype;
  /** Written instead of the folder's own weights. */
  readonly tensors?: ModelContents["tensors"];
  /** Default: {@link openModelFolder}. */
  readonly open?: (path: string) => Promise<ModelFolder>;
}

/** Files beside config and weights that make a folder usable: a tokenizer's, a chat template, a model card. */
const companion =
  /^(tokenizer(_config)?\.json|tokenizer\.model|(spiece|sentencepiece\.bpe)\.model|(source|target)\.spm|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt|chat_template\.jinja|preprocessor_config\.json|README\.md)$/;

const kept: readonly string[] = ["I64", "I32", "U8", "BOOL"] satisfies WritableDtype[];

/**
 * Copies anyone's model folder with its floats as `dtype` and its weights in files of another size, one tensor in memory
 * at a time. What a training run left in it (optimizer, trainer state) stays behind. The model need not be one that
 * Stemma knows.
 *
 * @throws {CheckpointError} when the folder is damaged, a value does not fit the dtype, or a tensor is neither of floats
 * nor of an integer type that can be written.
 */
export async function convertFolder(
  from: string,
  to: string,
  { open = openModelFolder, ...options }: ConvertOptions,
): Promise<void> {
  const folder = await open(from);
  try {
    const names = (await readdir(from)).filter((name) => companion.test(name));
    const files = await Promise.all(names.map(async (name) => [name, await readFile(join(from, name))] as const));
    await writeModelFolder(to, {
      config: folder.config,
      ...(folder.generationConfig && { generationConfig: folder.generationConfig }),
      moreFloatKeys: await floatKeysOf(folder),
      extraFiles: Object.fromEntries(files),
      ...options,
      tensors: options.tensors ?? folder.tensors.names().map((name) => copyOf(folder.tensors, name)),
    });
  } finally {
    await folder.close();
  }
}

/** The floats among the numbers of a config, also of a model that is not known here. */
async function floatKeysOf({ path, generationConfig }: ModelFolder): Promise<Set<string>> {
  const names = ["config.json", ...(generationConfig ? ["generation_config.json"] : [])];
  const texts = await Promise.all(names.map((name) => readFile(join(path, name), "utf8")));
  return new Set(texts.flatMap((text) => [...wholeFloatKeys(text)]));
}

function copyOf(source: TensorSource, name: string): WritableTensor {
  const { dtype, shape } = source.info(name);
  if (/^B?F\d+$/.test(dtype)) return { name, shape, read: () => source.read(name) };
  if (kept.includes(dtype)) {
    return { name, shape, dtype: dtype as WritableDtype, read: () => source.readIntegers(name) };
  }
  throw new CheckpointError(`${source.name}: ${name}: is stored as ${dtype}, which cannot be converted`);
}
