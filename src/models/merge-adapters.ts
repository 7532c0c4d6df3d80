import type { Backend } from "../backend/kernels.ts";
import type { ConvertOptions } from "../checkpoint/convert-folder.ts";
import { convertFolder } from "../checkpoint/convert-folder.ts";
import type { FloatDtype, WritableTensor } from "../checkpoint/tensor-source.ts";
import { SettingsError } from "../core/errors.ts";
import { isGgufPath } from "../files/gguf-path.ts";
import { baseOfAdapter, isBareAdapter } from "./adapter-folder.ts";
import { encoderNamed } from "./encoders.ts";
import type { AnyFamily } from "./family.ts";
import { familyIn, loadModel, loadModelOf, openModel } from "./load.ts";
import { loadTextToText } from "./load-text-to-text.ts";
import { isClassifier } from "./other-heads.ts";
import { storedTensors } from "./read-model.ts";

/** Where a merged model goes. */
export interface MergeOptions extends Omit<ConvertOptions, "dtype" | "tensors"> {
  /** Null keeps the type that the base has. */
  readonly dtype: FloatDtype | null;
}

/**
 * Writes a model folder with adapters added to its matrices. Config, tokenizer and template are copies of the base's.
 *
 * @param base - A model folder, or an adapter's, which is merged into its own base.
 * @param adapters - As {@link addAdapters} takes them.
 * @returns the type of the weights that were written.
 * @throws {CheckpointError} when a folder is damaged, or an adapter is of another model.
 * @throws {SettingsError} when the base is a GGUF file.
 */
export async function mergeAdapters(
  base: string,
  adapters: readonly string[],
  output: string,
  backend: Backend,
  { dtype: wanted, ...options }: MergeOptions,
): Promise<FloatDtype> {
  if (isGgufPath(base)) {
    throw new SettingsError(
      `model: ${base} is a GGUF file, whose blocks would be rounded anew; make it a folder of 16 bits first ` +
        "(stemma import --type bf16), and merge into that",
    );
  }
  if (isBareAdapter(base)) {
    const all = [base, ...adapters];
    return mergeAdapters(await baseOfAdapter(base), all, output, backend, { dtype: wanted, ...options });
  }
  const tensors = await mergedInMemory(base, adapters, backend);
  const dtype = wanted ?? (await dtypeOf(base));
  await convertFolder(base, output, { ...options, dtype, tensors, open: openModel });
  return dtype;
}

async function mergedInMemory(base: string, adapters: readonly string[], backend: Backend): Promise<WritableTensor[]> {
  const { config, close } = await openModel(base);
  await close();
  const encoder = encoderNamed(config);
  if (encoder) {
    const family = (isClassifier(config) ? encoder.classifier : encoder.words) as AnyFamily;
    const lacking = new Set<string>();
    const report = (names: readonly string[]): void => {
      for (const name of names) lacking.add(name);
    };
    const model = await loadModelOf(family, base, backend, { adapters, missing: { random: null, report } });
    return storedTensors(family, model).filter(({ name }) => !lacking.has(name));
  }
  const { architecture } = await familyIn(base);
  const opened =
    architecture === "encoder-decoder"
      ? await loadTextToText(base, backend, { adapters })
      : await loadModel(base, backend, "float32", adapters);
  return storedTensors(opened.family as AnyFamily, opened.model);
}

/** The type of most of a folder's weights: that of its largest matrices; 16 bits where they are blocks. */
async function dtypeOf(path: string): Promise<FloatDtype> {
  const folder = await openModel(path);
  await folder.close();
  const types = folder.tensors.names().map((name) => folder.tensors.info(name).dtype);
  const count = (dtype: string): number => types.filter((own) => own === dtype).length;
  const order = (["F32", "F16", "BF16"] as const).toSorted((a, b) => count(b) - count(a));
  return types.some((dtype) => dtype.startsWith("Q")) ? "BF16" : (order[0] ?? "F32");
}
