import type { Backend } from "../backend/kernels.ts";
import type { ConvertOptions } from "../checkpoint/convert-folder.ts";
import { convertFolder } from "../checkpoint/convert-folder.ts";
import type { FloatDtype } from "../checkpoint/tensor-source.ts";
import { SettingsError } from "../core/errors.ts";
import { isGgufPath, loadModel, openModel } from "./load.ts";
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
  const { model, family } = await loadModel(base, backend, "float32", adapters);
  const dtype = wanted ?? (await dtypeOf(base));
  await convertFolder(base, output, { ...options, dtype, tensors: storedTensors(family, model), open: openModel });
  return dtype;
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
