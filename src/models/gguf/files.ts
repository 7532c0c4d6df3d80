import { basename, dirname, relative, resolve } from "node:path";
import { openReference } from "../../backend/reference/index.ts";
import { openGguf } from "../../checkpoint/gguf.ts";
import {
  chatTemplateFromMetadata,
  endsFromMetadata,
  tokenizerFromMetadata,
  tokenizerMetadata,
} from "../../checkpoint/gguf-tokenizer.ts";
import type { GgufValue } from "../../checkpoint/gguf-values.ts";
import { writeGguf } from "../../checkpoint/gguf-writer.ts";
import type { ModelContents } from "../../checkpoint/model-folder.ts";
import { writeModelFolder } from "../../checkpoint/model-folder.ts";
import { UnsupportedError } from "../../core/errors.ts";
import type { JsonObject } from "../../files/json.ts";
import { chatTemplateFile } from "../../text/chat-template-file.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { tokenizerFiles } from "../../text/tokenizer-files.ts";
import { encoderIn } from "../encoder-in.ts";
import { encoderNamed } from "../encoders.ts";
import { generationConfig } from "../generation-config.ts";
import { loadModel, openModel, speakingFamilyIn } from "../load.ts";
import { createEmpty, familyOf, loadTensors, storedTensors } from "../read-model.ts";
import { ggufContents } from "./contents.ts";
import { exportEncoder } from "./encoder-file.ts";
import { ggufAsFolder } from "./folder.ts";
import type { GgufMixture } from "./mixtures.ts";
import type { Modelfile, ModelfileContents } from "./modelfile.ts";
import { modelfile } from "./modelfile.ts";
import { layoutsFor } from "./plan.ts";

/**
 * Writes a model as a GGUF file with its tokenizer and chat template. Atomic.
 *
 * @param source - A model folder, an adapter's, or another GGUF file.
 * @param adapters - What is added to the model, as {@link addAdapters} takes it.
 * @returns why the file will answer otherwise than the folder, or null.
 * @throws {UnsupportedError} when llama.cpp has no such model or tokenizer.
 * @throws {CheckpointError} when the folder is damaged, or a value does not fit the type.
 */
export async function exportGguf(
  source: string,
  path: string,
  mixture: GgufMixture,
  adapters: readonly string[] = [],
): Promise<string | null> {
  layoutsFor((await speakingFamilyIn(source)).modelType); // before a large model is read in vain
  const { config, close } = await openModel(source);
  await close();
  const own = encoderNamed(config);
  if (own) return exportEncoder({ family: own, folder: source, adapters, name: nameOf(source) }, path, mixture);
  const { model, family } = await loadModel(source, openReference(), "float32", adapters);
  const encoder = await encoderIn(source);
  const contents = await ggufContents(
    {
      ...{ name: nameOf(source), family, tokenizer: encoder.tokenizer },
      tokenizerMetadata: (rows) => tokenizerMetadata(encoder, rows),
      settings: model.settings,
      tensors: storedTensors(family, model),
    },
    mixture,
  );
  await writeGguf(path, contents);
  return model.readsPrefix
    ? "llama.cpp reads a prompt from left to right, this prefix language model at once"
    : contents.differs;
}

/**
 * The Modelfile for GGUF files, which it names relative to itself: see {@link modelfile}.
 *
 * @param source - Folder or GGUF file whose tokenizer and chat template it is about.
 * @param path - Where it is going to be.
 * @throws {SettingsError} when the chat template has no place for the system prompt.
 */
export async function modelfileFor(
  source: string,
  path: string,
  { model, adapter, system }: ModelfileContents,
): Promise<Modelfile> {
  const beside = (file: string): string => {
    const way = relative(dirname(path), file);
    return way.startsWith("..") ? resolve(file) : `./${way}`;
  };
  return modelfile(await encoderIn(source), {
    model: beside(model),
    adapter: adapter === null ? null : beside(adapter),
    system,
  });
}

/**
 * Writes a GGUF file as a model folder, its tokenizer and chat template with it. Atomic. Returns why the folder has no
 * tokenizer, or null when it has one.
 *
 * @throws {UnsupportedError} when the file is of an architecture, or has tensors of a type, that is not known here.
 * @throws {CheckpointError} when the file is damaged or incomplete, or the folder holds anything but a model.
 */
export async function importGguf(
  path: string,
  folder: string,
  options: Pick<ModelContents, "dtype" | "maxShardBytes"> = {},
): Promise<string | null> {
  const file = await openGguf(path);
  try {
    const source = await ggufAsFolder(file);
    const family = familyOf(source.config, path);
    const model = await createEmpty(family, source, openReference());
    await loadTensors(family, model, source.tensors);
    const { tokenizer, reason } = readTokenizer(path, file.metadata);
    const { bos } = tokenizer?.roles ?? {};
    const ids = {
      beginOfText: bos === undefined ? null : (tokenizer?.idOf(bos) ?? null),
      endOfText: tokenizer?.endOfText ?? null,
    };
    const template = chatTemplateFromMetadata(file.metadata);
    await writeModelFolder(folder, {
      config: family.writeConfig(model.settings, ids) as JsonObject,
      ...(tokenizer && { generationConfig: generationConfig(endsFromMetadata(file.metadata, tokenizer), ids) }),
      tensors: storedTensors(family, model),
      extraFiles: {
        ...(tokenizer && tokenizerFiles(tokenizer)),
        ...(template !== null && { [chatTemplateFile]: template }),
      },
      ...options,
    });
    return reason;
  } finally {
    await file.close();
  }
}

/** A tokenizer of a kind that is not known here is no reason to refuse the weights. */
function readTokenizer(
  path: string,
  metadata: ReadonlyMap<string, GgufValue>,
): { readonly tokenizer: Tokenizer | null; readonly reason: string | null } {
  try {
    return { tokenizer: tokenizerFromMetadata(path, metadata), reason: null };
  } catch (error) {
    if (error instanceof UnsupportedError) return { tokenizer: null, reason: error.message };
    throw error;
  }
}

/** The name of the run, for a model that is called `final` or by its step. */
function nameOf(model: string): string {
  const path = resolve(model);
  const name = basename(path, ".gguf");
  return /^(final|checkpoint-\d+)$/.test(name) ? basename(dirname(path)) : name;
}
