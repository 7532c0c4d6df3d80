import type { Backend } from "../backend/kernels.ts";
import type { ModelContents } from "../checkpoint/model-folder.ts";
import { CheckpointError } from "../core/errors.ts";
import { isGgufPath } from "../files/gguf-path.ts";
import type { JsonObject } from "../files/json.ts";
import { addAdapters } from "../models/added-adapters.ts";
import { decoderBody, EmbeddingModel, encoderBody, widthOf } from "../models/embedding-model.ts";
import { encoderNamed } from "../models/encoders.ts";
import { loadModelOf, openModel } from "../models/load.ts";
import { familyOf, readModel } from "../models/read-model.ts";
import type { PoolingMode, SentenceModules } from "../models/sentence-modules.ts";
import { plainModules, readSentenceModules, sentenceFiles } from "../models/sentence-modules.ts";
import { withMaskedPadding } from "../text/padding.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { tokenizerFiles } from "../text/tokenizer-files.ts";
import { loadTokenizerFor } from "./assistant.ts";

/** A model with what it takes to make embeddings of texts. */
export interface Embedder {
  readonly model: EmbeddingModel;
  readonly tokenizer: Tokenizer;
  /** Most tokens of a text, those that frame it included; longer ones are cut at the end. */
  readonly maxLength: number;
}

/** What is known of a model beside its folder. */
export interface EmbedderOptions {
  /** How states are pooled, whatever the folder says. */
  readonly pooling?: PoolingMode | null;
  /** Is told what a folder leaves open and how it was decided. */
  readonly note?: (line: string) => void;
  /** What is added to its matrices, as {@link addAdapters} takes it. */
  readonly adapters?: readonly string[];
}

/**
 * Opens a sentence-transformers folder, or a plain folder of an encoder or a decoder: of an encoder's states the mean is
 * taken, of a decoder's the last, and embeddings get a length of 1.
 *
 * @throws {CheckpointError} when a part is missing or damaged, or the model is of another kind.
 * @throws {UnsupportedError} when the folder has modules that are not read.
 */
export async function openEmbedder(
  path: string,
  backend: Backend,
  { pooling = null, note = () => undefined, adapters = [] }: EmbedderOptions = {},
): Promise<Embedder> {
  if (isGgufPath(path)) {
    throw new CheckpointError(
      `${path}: embeddings are made with a model folder, not with a GGUF file; give its folder`,
    );
  }
  const found = await readSentenceModules(path);
  const folder = await openModel(found?.modelPath ?? path);
  try {
    const { config } = folder;
    const encoder = encoderNamed(config);
    const known = found?.modules ?? { ...plainModules, pooling: [encoder ? "mean" : "lasttoken"] as const };
    const modules = pooling === null ? known : { ...known, pooling: [pooling] };
    if (!found) note(`${path}: does not say how states become an embedding: ${howPooled(modules)}`);
    const body = encoder
      ? await openEncoder(encoder, folder.path, backend, adapters)
      : await openDecoder(folder, backend, adapters);
    const tokenizer = await loadTokenizerFor(body.model, folder.path);
    const own = body.model.settings.context;
    return { model: new EmbeddingModel(body, modules), tokenizer, maxLength: Math.min(modules.maxLength ?? own, own) };
  } finally {
    await folder.close();
  }
}

function howPooled({ pooling: [mode] }: SentenceModules): string {
  return `they are pooled by ${mode === "lasttoken" ? "the last token (lasttoken)" : mode}, and it gets a length of 1`;
}

async function openEncoder(
  family: NonNullable<ReturnType<typeof encoderNamed>>,
  path: string,
  backend: Backend,
  adapters: readonly string[],
): Promise<ReturnType<typeof encoderBody>> {
  let hasPooler = true;
  const report = (): void => {
    hasPooler = false;
  };
  const model = await loadModelOf(family.body, path, backend, { missing: { random: null, report }, adapters });
  return encoderBody(family, model, hasPooler);
}

/** A decoder without output layer, as models of embeddings are published, is one whose embedding serves. */
async function openDecoder(
  folder: Awaited<ReturnType<typeof openModel>>,
  backend: Backend,
  adapters: readonly string[],
): Promise<ReturnType<typeof decoderBody>> {
  const { ownHead } = familyOf(folder.config, folder.path);
  const isHeadless = ownHead !== undefined && !folder.tensors.has(ownHead.head);
  const config = isHeadless ? { ...folder.config, tie_word_embeddings: true } : folder.config;
  const { path, tensors } = folder;
  const opened = await readModel({ path, tensors, config }, backend);
  await addAdapters({ ...opened, hasWhole: true }, folder.adapters ?? []);
  await addAdapters(opened, adapters);
  return decoderBody(opened.family, opened.model);
}

/** What the folder of an embedding model is made from; sentence-transformers opens it. */
export function embedderContents({ model, tokenizer: read, maxLength }: Embedder): ModelContents {
  const { body, modules } = model;
  const tokenizer = withMaskedPadding(read);
  const { endOfText, roles } = tokenizer;
  const beginOfText = roles.bos === undefined ? null : tokenizer.idOf(roles.bos);
  return {
    config: body.config({ beginOfText, endOfText }) as JsonObject,
    tensors: body.tensors(),
    extraFiles: { ...tokenizerFiles(tokenizer), ...sentenceFiles({ ...modules, maxLength }, widthOf(body.model)) },
  };
}
